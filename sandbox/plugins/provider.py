"""The interface of a simulated cloud provider; `servicer.py` implements Pulumi's gRPC protocol for it.

A provider works on plain Python values: dicts, lists, str, float/int, bool, None, and `UNKNOWN` for a value that is
not known during a preview. The host unwraps secrets, assets and resource references before it calls a provider.
Property names are those of the wire (camelCase, as in the Pulumi schema).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Props = dict[str, Any]


class _Unknown:
    def __repr__(self) -> str:
        return "<unknown>"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "UNKNOWN"  # copying and pickling return the same object


UNKNOWN = _Unknown()
"""A value that is known only after the update. Never compare it, never send it to a cloud."""


class ProviderError(Exception):
    """The cloud refused the request. The text is shown under the resource, in the cloud's form: `Code: message`.

    `partial`: id and outputs of an object that exists anyway (a create or update that failed half-way); the engine
    then keeps it in its state, as with the real provider.
    """

    def __init__(self, message: str, partial: tuple[str, Props] | None = None) -> None:
        super().__init__(message)
        self.partial = partial


@dataclass
class CheckFailure:
    """One wrong input: the property's path (camelCase, dotted; '' for the whole) and what is wrong with it."""

    property: str
    reason: str


@dataclass
class Diff:
    """The effect of an update. `changes`: property paths that differ; `replaces`: those that force a replacement."""

    changes: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_before_replace: bool = False


class SimulatedProvider(ABC):
    """One configured instance of a provider (each explicit provider in the program creates one instance)."""

    package: str
    """Pulumi package name, for example `aws`."""
    version: str
    """The version of the real provider that it simulates, for example `7.51.1`."""

    def configure(self, config: Mapping[str, Any]) -> None:  # noqa: B027
        """Sets the provider's own inputs (region, kubeconfig, …). Raises ProviderError if they cannot work."""

    def diff_config(self, olds: Props, news: Props) -> Diff:
        """The effect of a change of the provider's own inputs; by default it never replaces the provider."""
        changed = sorted(k for k in {*olds, *news} if olds.get(k) != news.get(k))
        return Diff(changes=changed)

    @abstractmethod
    def check(self, token: str, urn: str, olds: Props, news: Props, seed: bytes) -> tuple[Props, list[CheckFailure]]:
        """Inputs with defaults and auto-names filled in (an old auto-name is kept), and every failure found."""

    @abstractmethod
    def diff(self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props) -> Diff:
        """Compares checked inputs (the engine has already applied `ignore_changes`)."""

    @abstractmethod
    def create(self, token: str, urn: str, inputs: Props, preview: bool, timeout: float) -> tuple[str, Props]:
        """Creates the object. In a preview: id '' and the known outputs, `UNKNOWN` for the rest."""

    @abstractmethod
    def read(self, token: str, urn: str, id: str, inputs: Props, state: Props) -> tuple[str, Props, Props] | None:
        """(id, inputs, outputs) as the cloud has them now; None if the object is gone."""

    @abstractmethod
    def update(
        self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props, preview: bool, timeout: float
    ) -> Props:
        """Changes the object in place and returns its new outputs."""

    @abstractmethod
    def delete(self, token: str, urn: str, id: str, inputs: Props, outputs: Props, timeout: float) -> None:
        """Deletes the object and returns when it is gone; does nothing if it does not exist."""

    @abstractmethod
    def invoke(self, token: str, args: Props) -> Props:
        """Calls a data source. Raises ProviderError if it does not exist or the cloud refuses the call."""

    def find(self, token: str, inputs: Props) -> list[str]:
        """Ids of objects that may have been created from these inputs, for a type whose ids the cloud chooses."""
        return []

    def cancel(self) -> None:  # noqa: B027
        """The engine was interrupted: return from long waits soon."""
