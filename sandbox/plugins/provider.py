"""The interface of a simulated cloud provider; `servicer.py` puts it behind Pulumi's gRPC protocol.

A provider works on plain Python values: dicts, lists, str, float/int, bool, None, and `UNKNOWN` for a value that is
not known during a preview. Secrets, assets and resource references are unwrapped by the host before it calls in here.
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
        return "UNKNOWN"  # copying and pickling keep it the one and only


UNKNOWN = _Unknown()
"""A value that only the update will know. Never compare it, never send it to a cloud."""


class ProviderError(Exception):
    """The cloud refused. The text is what the user reads under the resource: `Code: message`, as the real one says it.

    `partial`: id and outputs of an object that exists all the same (a create or update that failed half-way); the
    engine then keeps it in its state, as it does with the real provider.
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
    """What an update would do. `changes`: property paths that differ; `replaces`: those that force a replacement."""

    changes: list[str] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_before_replace: bool = False


class SimulatedProvider(ABC):
    """One configured instance of a provider (an explicit provider in the program makes one instance each)."""

    package: str
    """Pulumi package name, for example `aws`."""
    version: str
    """The version of the real provider that it simulates, for example `7.51.1`."""

    def configure(self, config: Mapping[str, Any]) -> None:  # noqa: B027
        """Takes the provider's own inputs (region, kubeconfig, …). Raises ProviderError when they cannot work."""

    def diff_config(self, olds: Props, news: Props) -> Diff:
        """What a change of the provider's own inputs means; by default it never replaces the provider."""
        changed = sorted(k for k in {*olds, *news} if olds.get(k) != news.get(k))
        return Diff(changes=changed)

    @abstractmethod
    def check(self, token: str, urn: str, olds: Props, news: Props, seed: bytes) -> tuple[Props, list[CheckFailure]]:
        """Inputs with defaults and auto-names filled in (an old auto-name is kept), and every failure found."""

    @abstractmethod
    def diff(self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props) -> Diff:
        """Compares checked inputs (`ignore_changes` has been applied by the engine)."""

    @abstractmethod
    def create(self, token: str, urn: str, inputs: Props, preview: bool, timeout: float) -> tuple[str, Props]:
        """Makes the object. In a preview: id '' and the outputs that are known, `UNKNOWN` for the rest."""

    @abstractmethod
    def read(self, token: str, urn: str, id: str, inputs: Props, state: Props) -> tuple[str, Props, Props] | None:
        """(id, inputs, outputs) as the cloud has them now; None when the object is gone."""

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
        """A data source. Raises ProviderError for one that does not exist or that the cloud refuses."""

    def find(self, token: str, inputs: Props) -> list[str]:
        """Ids of what may have been made of these inputs, for a type whose ids the cloud chooses."""
        return []

    def cancel(self) -> None:  # noqa: B027
        """The engine was interrupted: return from long waits soon."""
