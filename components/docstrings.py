"""Docstrings under the fields of a class, read from the source because Python does not keep them.

Pulumi's own analyzer reads only the class itself. This one reads its bases as well, because a spec inherits most of its
fields. Arguments have their defaults in these docstrings, so the library does not work without its source.
"""

import ast
import functools
import inspect
import sys
from types import ModuleType

import pulumi


def of_class(of: type) -> str | None:
    """Docstring of a class, without the indentation of its source."""
    return inspect.cleandoc(of.__doc__) if of.__doc__ else None


def of_field(of: type, name: str) -> str | None:
    """Docstring of the field `name`, from the class or the nearest base that has one; None if there is none.

    Raises:
        pulumi.RunError: the source of the class is not installed.
    """
    definition = _definition(of)
    if definition is None:
        return None
    for field, text in zip(definition.body, definition.body[1:]):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.target.id == name:
            match text:
                case ast.Expr(value=ast.Constant(value=str(found))):
                    return inspect.cleandoc(found)
    return next(filter(None, (of_field(base, name) for base in _bases(of, definition))), None)


def _bases(of: type, definition: ast.ClassDef) -> list[type]:
    """The base classes in the source. At run time a TypedDict does not have its bases."""
    names = [base.id for base in definition.bases if isinstance(base, ast.Name)]
    found = [getattr(sys.modules[of.__module__], name, None) for name in names]
    return [base for base in found if isinstance(base, type)]


def _definition(of: type) -> ast.ClassDef | None:
    """The source of a class; None for a class that is not written in Python."""
    module = sys.modules[of.__module__]
    written = str(getattr(module, "__file__", "")).endswith((".py", ".pyc"))
    return _classes(module).get(of.__qualname__) if written else None


@functools.cache
def _classes(module: ModuleType) -> dict[str, ast.ClassDef]:
    """Every class of a module by its qualified name. A module is parsed once: `inspect.getsource` of a class would
    parse it again for each."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise pulumi.RunError(
            f"{module.__name__}: its source is missing ({module.__file__}). gpuyard reads the defaults of arguments "
            "from their docstrings, which compiled files do not have: install the complete wheel, with its .py files."
        ) from error
    found: dict[str, ast.ClassDef] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for each in ast.iter_child_nodes(node):
            if isinstance(each, ast.ClassDef):
                found[f"{prefix}{each.name}"] = each
                visit(each, f"{prefix}{each.name}.")
            elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef)):
                visit(each, f"{prefix}{each.name}.<locals>.")
            else:
                visit(each, prefix)

    visit(ast.parse(source), "")
    return found
