"""The components that the package offers, found in the library itself."""

import importlib
import inspect
import pkgutil

import pulumi

import components
from components import arguments
from components.checks import Keys

NAME = "gpuyard"
"""Name of the package: the first part of every type token."""

NOT_OFFERED = {
    "ClusterCleanup": (
        "It uses a dynamic resource. The engine runs dynamic resources with the Python on the PATH, not with the "
        "plugin's, so the library would be missing when the stack is destroyed."
    ),
}
"""Components that only Python programs can use, with the reason."""


def offered() -> list[type[pulumi.ComponentResource]]:
    """Every component of the library except those in `NOT_OFFERED`, sorted by name."""
    found: set[type[pulumi.ComponentResource]] = set()
    for module in pkgutil.walk_packages(components.__path__, f"{components.__name__}."):
        found.update(filter(_is_component, vars(importlib.import_module(module.name)).values()))
    return sorted((each for each in found if each.__name__ not in NOT_OFFERED), key=lambda each: each.__name__)


def _is_component(value: object) -> bool:
    """Whether it is a public component of the library. Modules also import components of Pulumi's SDKs."""
    return (
        inspect.isclass(value)
        and issubclass(value, pulumi.ComponentResource)
        and value.__module__.startswith(f"{components.__name__}.")
        and not value.__name__.startswith("_")
    )


def field_names() -> dict[str, Keys]:
    """Names of all arguments of all offered components, in Python's spelling, and whose keys each contains."""
    return arguments.names(*(each.__init__.__annotations__["args"] for each in offered()))
