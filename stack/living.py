"""What exists of an environment: the engine's own state of this stack, as earlier runs left it.

It is read before anything is compared or changed. The state, not the cloud, is asked: it still knows the region and the
names that the file no longer says, it holds what a failed `up` has made, it is there for every backend, and it needs no
credentials of a cloud.
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
_LOOKS, _PAUSE = 5, 0.5
"""The engine writes the providers into the state while the program asks for it: with a backend of files the file may be
empty for a moment (seen: "failed to load checkpoint: EOF"). So often it is asked, so many seconds apart."""
SETTINGS = "settings"
"""Output of the stack that holds the file as the last complete `up` applied it: path → value, defaults filled in."""


@dataclass(frozen=True)
class Object:
    """One resource: its type token, its logical name, its outputs."""

    type: str
    name: str
    outputs: Mapping[str, Any]


@dataclass(frozen=True)
class Living:
    """Every resource of the stack; none before the first `up`."""

    objects: tuple[Object, ...] = ()

    def all(self, type: str) -> list[Object]:
        """Resources of a type."""
        return [found for found in self.objects if found.type == type]

    def one(self, type: str, name: str = "") -> Mapping[str, Any] | None:
        """Outputs of the resource of that type (and logical name), if there is one."""
        return next((found.outputs for found in self.all(type) if name in ("", found.name)), None)

    @property
    def settings(self) -> Mapping[str, Any]:
        """The file as the last complete `up` applied it; empty before."""
        return (self.one(_STACK) or {}).get(SETTINGS) or {}


def read(providers: list[pulumi.ProviderResource]) -> Living:
    """What earlier runs made. `providers`: of this stack, the first resources of any run.

    Where the state cannot be read (a wrong passphrase, a backend that does not answer) a warning says so.
    """
    for look in range(1, _LOOKS + 1):
        try:
            return _read(providers)
        except Exception as error:  # the SDK has no narrower class for an invoke that failed
            if look == _LOOKS:
                pulumi.log.warn(
                    f"the file is not compared with what exists, since the stack's state cannot be read: {error}"
                )
        time.sleep(_PAUSE)
    return Living()


def _read(providers: list[pulumi.ProviderResource]) -> Living:
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    if not pulumi.runtime.invoke(_OUTPUTS, {"name": stack}).value.get("outputs") and not any(map(_made, providers)):
        # The engine (3.259) crashes when it is asked for the resources of a stack that never had any.
        return Living()
    found = pulumi.runtime.invoke(_RESOURCES, {"stackName": stack}).value.get("outputs") or {}
    return Living(
        tuple(Object(each["type"], urn.rpartition("::")[2], each.get("outputs") or {}) for urn, each in found.items())
    )


def _made(provider: pulumi.ProviderResource) -> bool:
    """Whether an earlier run made the provider: a preview knows the id of no other."""
    return bool(_sync_await(provider.id.future()))
