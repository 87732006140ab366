"""The components that the package offers, found in the library itself."""

import importlib
import inspect
import pkgutil

import pulumi

import components
from components import arguments, checks, exports

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


def component(name: str) -> type[pulumi.ComponentResource]:
    """The offered component of this name; its module is imported, and no other component's.

    Raises:
        ValueError: there is none.
    """
    for package in (components.__name__, *_subpackages()):
        if name in exports.exported(package) and name not in NOT_OFFERED:
            found = getattr(importlib.import_module(package), name)
            if _is_component(found):
                return found
    raise ValueError(f"the package {NAME} has no component {name}")


def _subpackages() -> list[str]:
    inside = pkgutil.iter_modules(components.__path__, f"{components.__name__}.")
    return [module.name for module in inside if module.ispkg]


def field_names(*of: type[pulumi.ComponentResource]) -> dict[str, checks.Keys]:
    """Names of all arguments of these components, in Python's spelling."""
    return arguments.names(*(each.__init__.__annotations__["args"] for each in of))
