"""The record of a run, with queries for tests.

A `Recording` has every resource as it was registered, so that a test sees what Pulumi's own mocks hide: parents,
providers, dependencies, protection, aliases. Destroy order is the engine's: a resource is deleted before everything
that it depends on, and a dependency on a component includes the component's children (pulumi's pkg/resource/graph,
DependenciesOf, 3.259).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Resource:
    """One registration. Properties are plain camelCase values; `secrets` names the inputs that were secret.

    `provider`: URN of the explicit provider; '' for the default one. `dependencies`: explicit and implicit ones, as the
    engine gets them. `depends_by_property`: input → the dependencies that come from it.
    """

    urn: str
    type: str
    name: str
    parent: str
    id: str
    custom: bool
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    secrets: frozenset[str]
    provider: str
    dependencies: frozenset[str]
    depends_by_property: dict[str, frozenset[str]]
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.type}::{self.name}"

    @property
    def package(self) -> str:
        """The package whose provider manages it; '' for a component or a provider."""
        return self.type.split(":")[0] if self.custom and not self.is_provider else ""

    @property
    def is_provider(self) -> bool:
        return self.type.startswith("pulumi:providers:")


@dataclass(frozen=True)
class Invoke:
    """One call of a data source."""

    token: str
    args: dict[str, Any]
    provider: str


@dataclass
class Recording:
    """Everything that one run registered, in order."""

    resources: dict[str, Resource] = field(default_factory=dict)
    invokes: list[Invoke] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    secret_exports: frozenset[str] = frozenset()
    failures: list[str] = field(default_factory=list)

    def all(self, type: str, name: str | None = None) -> list[Resource]:
        """Resources of a type: the whole token, or the part after the last colon (`NodeGroup`)."""
        return [
            found
            for found in self.resources.values()
            if type in (found.type, found.type.rpartition(":")[2]) and name in (None, found.name)
        ]

    def one(self, type: str, name: str | None = None) -> Resource:
        """The only resource of that type (and name). The message of a failure lists those that exist."""
        found = self.all(type, name)
        if len(found) == 1:
            return found[0]
        there = "\n  ".join(str(other) for other in self.all(type) or self.resources.values())
        raise AssertionError(f"{len(found)} resources {type} {name or ''}; recorded are:\n  {there}")

    def children(self, parent: Resource) -> list[Resource]:
        """Its children, at any depth."""
        return [self.resources[urn] for urn in self._children.get(parent.urn, ())]

    def dependencies(self, resource: Resource) -> list[Resource]:
        """What the engine keeps until `resource` is deleted, one step deep."""
        return [self.resources[urn] for urn in self._edges[resource.urn]]

    def must_outlive(self, longer: Resource, shorter: Resource) -> bool:
        """Whether a destroy deletes `shorter` before it starts to delete `longer`."""
        return longer.urn in self._reach(shorter.urn)

    def orphans(self) -> list[Resource]:
        """Custom resources that no component owns, without the stack's explicit providers."""
        return [
            found
            for found in self.resources.values()
            if found.custom and not found.is_provider and self._type_of(found.parent) in ("", STACK)
        ]

    def without_provider(self) -> list[str]:
        """Resources and invokes that would use a default provider."""
        left = [str(found) for found in self.resources.values() if found.package and not found.provider]
        return left + [call.token for call in self.invokes if not call.provider]

    def tree(self) -> list[str]:
        """Every URN without stack and project: the names that an upgrade must keep."""
        return sorted("::".join(urn.split("::")[2:]) for urn in self.resources)

    def secret_values(self) -> Iterator[tuple[str, str]]:
        """(resource, name of the input) of every secret input."""
        for found in self.resources.values():
            for key in sorted(found.secrets):
                yield str(found), key

    def text(self) -> str:
        """All inputs as JSON, for a test that a value never appears."""
        return json.dumps({urn: found.inputs for urn, found in self.resources.items()}, default=str)

    def _type_of(self, urn: str) -> str:
        return self.resources[urn].type if urn in self.resources else ""

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        below: dict[str, list[str]] = {}
        for urn, found in self.resources.items():
            parent = found.parent
            while parent in self.resources:
                below.setdefault(parent, []).append(urn)
                parent = self.resources[parent].parent
        return below

    @cached_property
    def _edges(self) -> dict[str, list[str]]:
        order = {urn: index for index, urn in enumerate(self.resources)}
        edges: dict[str, list[str]] = {}
        for urn, found in self.resources.items():
            wanted = {*found.dependencies, found.provider, found.options.get("deletedWith", "")}
            for dependencies in found.depends_by_property.values():
                wanted |= dependencies
            for component in [dep for dep in wanted if dep in order and not self.resources[dep].custom]:
                # Children that are registered after the dependent are not dependencies: that would be a cycle.
                wanted |= {child for child in self._children.get(component, ()) if order[child] < order[urn]}
            wanted.add(found.parent)
            edges[urn] = sorted((dep for dep in wanted if dep in order and dep != urn), key=order.__getitem__)
        return edges

    def _reach(self, urn: str) -> set[str]:
        seen: set[str] = set()
        todo = [urn]
        while todo:
            for dependency in self._edges[todo.pop()]:
                if dependency not in seen:
                    seen.add(dependency)
                    todo.append(dependency)
        return seen
