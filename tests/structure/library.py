"""The library's components, the TypedDicts of their arguments, and where each is exported."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from types import ModuleType

import pulumi

import components

PACKAGES = ("aws", "gcp", "monitoring", "cleanup")
"""Packages that export what their own modules define; everything else is exported by the library itself."""


def modules() -> list[ModuleType]:
    """Every module of the library."""
    names = [info.name for info in pkgutil.walk_packages(components.__path__, "components.") if not info.ispkg]
    return [importlib.import_module(name) for name in names]


def component_classes() -> list[type[pulumi.ComponentResource]]:
    """Every component, in the order of its module's name."""
    return [
        value
        for module in modules()
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, pulumi.ComponentResource)
        and value.__module__ == module.__name__
    ]


def arguments(component: type[pulumi.ComponentResource]) -> type:
    """The TypedDict of a component's arguments."""
    return typing.get_type_hints(component.__init__)["args"]


def typed_dicts(hint: object) -> set[type]:
    """The library's TypedDicts that a type uses, itself included, however deep."""
    found: set[type] = set()

    def walk(hint: object, module: ModuleType) -> None:
        if isinstance(hint, typing.ForwardRef):  # `dict[str, "Each"]`
            words = re.findall(r"\w+", hint.__forward_arg__)
            for named in (vars(module).get(word) for word in words):
                if named is not None and not isinstance(named, ModuleType):
                    walk(named, module)
        if typing.is_typeddict(hint) and hint.__module__.startswith("components.") and hint not in found:
            assert isinstance(hint, type)
            found.add(hint)
            home = importlib.import_module(hint.__module__)
            for field in hint.__annotations__.values():
                walk(field, home)
        for part in typing.get_args(hint):
            walk(part, module)

    walk(hint, components)
    return found


def interface() -> dict[type, str]:
    """Every component and every TypedDict that its arguments use, and the package that has to export it."""
    found: set[type] = set()
    for component in component_classes():
        found |= {component, *typed_dicts(arguments(component))}
    return {each: home(each) for each in found}


def home(each: type) -> str:
    """The package that exports a type of the library."""
    package = each.__module__.split(".")[1]
    return f"components.{package}" if package in PACKAGES else "components"
