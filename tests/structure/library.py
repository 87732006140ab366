"""The library's components, the TypedDicts of their arguments, and where each is exported."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import typing
from importlib.util import find_spec
from types import FunctionType, ModuleType

import pulumi

import components
import stack
from components import exports

PACKAGES = ("aws", "gcp", "monitoring", "cleanup", "sharing", "platforms")
"""Packages that export what their own modules define; everything else is exported by the library itself."""


def modules(package: ModuleType = components) -> list[ModuleType]:
    """Every module of the library, or of another package."""
    names = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.") if not info.ispkg]
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


def declared() -> list[type]:
    """Every TypedDict that a module of the library or of the stack defines, in the order of its module's name."""
    return [
        value
        for module in [*modules(), *modules(stack)]
        for value in vars(module).values()
        if typing.is_typeddict(value) and isinstance(value, type) and value.__module__ == module.__name__
    ]


def functions() -> list[FunctionType]:
    """Every function that a package exports."""
    packages = ["components", *(f"components.{package}" for package in PACKAGES)]
    names = [(module, name) for package in packages for name, module in exports.exported(package).items()]
    values = [getattr(importlib.import_module(module), name, None) for module, name in names if find_spec(module)]
    return [value for value in values if isinstance(value, FunctionType)]


def interface() -> dict[type, str]:
    """Every component, every TypedDict that its arguments or an exported function use, and the package that has to
    export it."""
    found: set[type] = set()
    for component in component_classes():
        found |= {component, *typed_dicts(arguments(component))}
    for function in functions():
        for hint in typing.get_type_hints(function).values():
            found |= typed_dicts(hint)
    return {each: home(each) for each in found}


def home(each: type) -> str:
    """The package that exports a type of the library."""
    package = each.__module__.split(".")[1]
    return f"components.{package}" if package in PACKAGES else "components"
