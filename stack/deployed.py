"""The existing resources of an environment, read from the engine's state of this stack.

They are read before anything is compared or changed. The source is the state and not the cloud: the state still has the
region and the names that the file no longer has, it includes what a failed `up` created, every backend has it, and
reading it needs no cloud credentials.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime.sync_await import _sync_await

_OUTPUTS = "pulumi:pulumi:readStackOutputs"
_RESOURCES = "pulumi:pulumi:readStackResourceOutputs"
_STACK = "pulumi:pulumi:Stack"
_ATTEMPTS, _PAUSE_SECONDS = 5, 0.5
"""How many times the state is read if reading fails, and the seconds in between. The engine may be writing it: with a
file backend the file can be empty for a moment (observed: "failed to load checkpoint: EOF")."""
SETTINGS = "settings"
"""Output of the stack with the file as the last complete `up` applied it: path → value, defaults filled in."""


@dataclass(frozen=True)
class Object:
    """One resource: its type token, its logical name, its outputs."""

    type: str
    name: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class DeployedState:
    """Every existing resource of the stack; empty before the first `up`."""

    objects: tuple[Object, ...] = ()

    def all(self, type: str) -> list[Object]:
        """Resources of a type."""
        return [found for found in self.objects if found.type == type]

    def one(self, type: str, name: str = "") -> Mapping[str, Any] | None:
        """Outputs of the resource of that type (and logical name), if there is one."""
        return next((found.outputs for found in self.all(type) if name in ("", found.name)), None)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The file as the last complete `up` applied it; empty before the first one."""
        return (self.one(_STACK) or {}).get(SETTINGS) or {}


def read(providers: list[pulumi.ProviderResource]) -> DeployedState:
    """The resources that earlier runs created. `providers`: those of this stack, the first resources of every run.

    If the state cannot be read (a wrong passphrase, a backend that does not respond), it warns and returns none.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _read(providers)
        except Exception as error:  # the SDK has no narrower class for an invoke that failed
            if attempt == _ATTEMPTS:
                pulumi.log.warn(
                    "the file is not compared with the existing resources, because the stack's state cannot be read: "
                    f"{error}"
                )
        time.sleep(_PAUSE_SECONDS)
    return DeployedState()


def _read(providers: list[pulumi.ProviderResource]) -> DeployedState:
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    if not pulumi.runtime.invoke(_OUTPUTS, {"name": stack}).value.get("outputs") and not any(map(_made, providers)):
        # The engine (3.259) crashes on a request for the resources of a stack that never had any.
        return DeployedState()
    found = pulumi.runtime.invoke(_RESOURCES, {"stackName": stack}).value.get("outputs") or {}
    return DeployedState(
        tuple(Object(each["type"], urn.rpartition("::")[2], each.get("outputs") or {}) for urn, each in found.items())
    )


def _made(provider: pulumi.ProviderResource) -> bool:
    """Whether an earlier run created the provider: only then does a preview know its id."""
    return bool(_sync_await(provider.id.future()))
