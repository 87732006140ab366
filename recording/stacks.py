"""The stacks of this repository under the recording engine: their own files, the real `__main__.py`."""

from __future__ import annotations

import copy
import functools
import json
import runpy
from collections.abc import Collection
from typing import Any

import yaml

from recording.recorder import run
from recording.recording import Recording
from sandbox.paths import ROOT

EKS = ["dev", "guide", "prod"]
GKE = ["dev-gke", "guide-gke", "prod-gke"]
ALL = [*EKS, *GKE]


def settings(stack: str) -> dict[str, Any]:
    """A new copy of the stack's config by full key, with the defaults that `Pulumi.yaml` declares."""
    defaults = {key: found["default"] for key, found in _config("Pulumi.yaml").items() if "default" in found}
    return copy.deepcopy({**defaults, **_config(f"Pulumi.{stack}.yaml")})


@functools.cache
def _config(file: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / file).read_text())["config"]


def record(
    config: dict[str, Any],
    stack: str,
    preview: bool = False,
    outputs: dict[str, Any] | None = None,
    secret_keys: Collection[str] = (),
) -> Recording:
    """Runs the program with this config (objects are passed as JSON, as by the engine). `outputs` and `secret_keys`: as
    in `run`."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")

    return run(program, config=texts, secret_keys=secret_keys, stack=stack, preview=preview, outputs=outputs)


@functools.cache
def recorded(stack: str, preview: bool = False) -> Recording:
    """The recording of a stack with the config in its file. Callers share it and must not change it."""
    return record(settings(stack), stack, preview)
