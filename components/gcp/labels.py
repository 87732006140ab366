"""Labels of Google Cloud, which are narrower than AWS's tags."""

import re
from collections.abc import Iterator, Mapping

from ..checks import Problem

# Compute Engine, "Labels": requirements. Letters of other alphabets are left out.
_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
# A machine takes 64; some fifteen are GKE's (goog-gke-…, goog-k8s-…) and gpuyard's own.
_MOST = 48
_GOOGLES = "goog"
_OWN = frozenset({"gpuyard-stack", "gpuyard-pool"})


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
            yield Problem(f"tags.{key}", value, "Google keeps keys that begin so", "other keys", "rename the key")
        if not _KEY.fullmatch(key):
            yield Problem(
                f"tags.{key}", value, "the key is not a valid label of Google Cloud",
                "a lower-case letter, then up to 62 lower-case letters, digits, '_' and '-'",
                f"write {_near(key)}",
            )  # fmt: skip
        if not _VALUE.fullmatch(value):
            yield Problem(
                f"tags.{key}", value, "the value is not a valid label of Google Cloud",
                "up to 63 lower-case letters, digits, '_' and '-'", f"write {_near(value)}",
            )  # fmt: skip
    if len(labels) > _MOST:
        yield Problem(
            "tags", len(labels), "more labels than Google takes", f"up to {_MOST}, beside Google's own", "remove some"
        )


def _near(text: str) -> str:
    """What is left of it, in letters and digits that Google takes."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:63] or "another"
