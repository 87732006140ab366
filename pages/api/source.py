"""The exports of the library, read from its source: classes, their fields, and the docstring of each.

The source is parsed with `ast` and never imported: docstrings under fields exist only in the source, and no SDK is
loaded.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components import exports

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "components"
PACKAGES = ("", "aws", "gcp", "monitoring", "cleanup", "sharing", "platforms", "charts")
"""Packages with a page, in the order of the index; the first one is the library itself."""


@dataclass(frozen=True)
class Field:
    """A key of a TypedDict, a field of a dataclass, or an output of a component. `type`: as annotated, without
    `NotRequired`. `doc`: the docstring under it, or ''."""

    name: str
    type: str
    required: bool
    doc: str


@dataclass(frozen=True)
class Class:
    """An exported class. `module`: its full name in this repository; `bases`: names of the library's own classes that
    it extends; `args`: name of the TypedDict of a component's arguments, '' for anything else."""

    name: str
    module: str
    doc: str
    bases: tuple[str, ...]
    fields: tuple[Field, ...]
    args: str

    @property
    def path(self) -> Path:
        """Its source, from the root of the repository."""
        return source(self.module).relative_to(ROOT)


@dataclass(frozen=True)
class Function:
    """An exported function. `call`: its name and its parameters."""

    name: str
    module: str
    doc: str
    call: str

    @property
    def path(self) -> Path:
        """Its source, from the root of the repository."""
        return source(self.module).relative_to(ROOT)


def full(package: str) -> str:
    """The full name of a package: `components.aws` for `aws`, `components` for ''."""
    return f"{LIBRARY}.{package}" if package else LIBRARY


def source(module: str) -> Path:
    """The file of a module or a package of this repository."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def tree(path: Path) -> ast.Module:
    """A parsed file."""
    return ast.parse(path.read_text())


def package_doc(package: str) -> str:
    """The docstring of a package."""
    return ast.get_docstring(tree(source(full(package)))) or ""


def exported(package: str) -> list[Class]:
    """The exported classes of a package, by name.

    Raises:
        LookupError: an export that its module defines neither as a class nor as a function.
    """
    others = {each.name for each in functions(package)}
    names = sorted(exports.exported(full(package)).items())
    return [read(module, name) for name, module in names if name not in others]


def functions(package: str) -> list[Function]:
    """The exported functions of a package, by name."""
    return [
        Function(name, module, ast.get_docstring(node) or "", _call(node))
        for name, module in sorted(exports.exported(full(package)).items())
        for node in tree(source(module)).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    ]


def _call(node: ast.FunctionDef) -> str:
    """The function as it is called: parameters with a default show it."""
    plain = node.args
    first = len(plain.args) - len(plain.defaults)
    shown = [each.arg for each in plain.args[:first]]
    shown += [f"{each.arg}={ast.unparse(value)}" for each, value in zip(plain.args[first:], plain.defaults)]
    shown += ["*"] if plain.kwonlyargs else []
    shown += [
        each.arg if value is None else f"{each.arg}={ast.unparse(value)}"
        for each, value in zip(plain.kwonlyargs, plain.kw_defaults)
    ]
    return f"{node.name}({', '.join(shown)})"


def read(module: str, name: str) -> Class:
    """A class of a module.

    Raises:
        LookupError: the module does not define a class of that name.
    """
    for node in tree(source(module)).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            bases = [ast.unparse(base) for base in node.bases]
            total = not any(word.arg == "total" and ast.unparse(word.value) == "False" for word in node.keywords)
            return Class(
                name=name,
                module=module,
                doc=ast.get_docstring(node) or "",
                bases=tuple(base for base in bases if "." not in base and base != "TypedDict"),
                fields=tuple(fields(node, total)),
                args=_args(node),
            )
    raise LookupError(f"{module} defines no class {name}")


def fields(node: ast.ClassDef, total: bool = True) -> Iterator[Field]:
    """The annotated names of a class, each with the docstring under it. `total`: keys are required by default."""
    for index, each in enumerate(node.body):
        if not (isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)):
            continue
        after = node.body[index + 1] if index + 1 < len(node.body) else None
        doc = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            doc = inspect.cleandoc(after.value.value)
        annotation, required = each.annotation, total and each.value is None
        while isinstance(annotation, ast.Subscript) and _last(annotation.value) in ("NotRequired", "Required"):
            required = _last(annotation.value) == "Required"
            annotation = annotation.slice
        yield Field(each.target.id, _shown(annotation), required, doc)


def _args(node: ast.ClassDef) -> str:
    """The type of the constructor's `args`."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return next(
                (_shown(word.annotation) for word in each.args.args if word.arg == "args" and word.annotation), ""
            )
    return ""


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _shown(annotation: ast.expr) -> str:
    """A type without the modules of its names, and without the quotes of one that is defined further down."""

    class Bare(ast.NodeTransformer):
        def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
            return ast.Name(node.attr)

        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node

    return ast.unparse(Bare().visit(ast.parse(ast.unparse(annotation), mode="eval").body))
