"""Labels of Google Cloud, which a component's `tags` become here. Their rules are stricter than those of AWS's tags."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..checks import Problem

# Compute Engine, "Labels": requirements. Google also accepts letters of other alphabets; gpuyard does not.
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
# A machine can have 64. GKE sets some fifteen (goog-gke-…, goog-k8s-…), and gpuyard sets its own.
_MOST = 48
_GOOGLES = "goog"
_OWN = frozenset({"gpuyard-stack", "gpuyard-pool"})


def with_tags(args: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the `tags` among the arguments of a component."""
    yield from problems(args.get("tags", {}))


def own_problems(labels: Mapping[str, str]) -> Iterator[Problem]:
    """Keys of a stack's `tags` that gpuyard sets itself."""
    for key in sorted(_OWN & labels.keys()):
        yield Problem(
            f"tags.{key}", labels[key], "a label that gpuyard sets", "other keys", "remove it, or rename the key"
        )


def problems(labels: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with `tags`."""
    for key, value in labels.items():
        if key.startswith(_GOOGLES):
            yield Problem(
                f"tags.{key}", value, f"Google reserves keys that begin with {_GOOGLES}", "other keys", "rename the key"
            )
        if not _KEY.fullmatch(key):
            yield Problem(
                f"tags.{key}", value, "the key is not a valid label key of Google Cloud",
                "a lower-case letter, then up to 62 lower-case letters, digits, '_' and '-'",
                f"write {_near(key)}",
            )  # fmt: skip
        if not _VALUE.fullmatch(value):
            yield Problem(
                f"tags.{key}", value, "the value is not a valid label value of Google Cloud",
                "up to 63 lower-case letters, digits, '_' and '-'", f"write {_near(value)}",
            )  # fmt: skip
    if len(labels) > _MOST:
        yield Problem(
            "tags", len(labels), "more labels than Google accepts", f"up to {_MOST}, in addition to Google's own",
            "remove some",
        )  # fmt: skip


def _near(text: str) -> str:
    """The text reduced to the letters and digits that Google accepts."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:63] or "another"
