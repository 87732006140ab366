"""Docstrings under the fields of a class, read from the source because Python does not keep them.

Pulumi's own analyzer reads only the class itself. This one reads its bases as well, because a spec inherits most of its
fields.
"""

import ast
import functools
import inspect
import sys


def of_class(of: type) -> str | None:
    """Docstring of a class, without the indentation of its source."""
    return inspect.cleandoc(of.__doc__) if of.__doc__ else None


def of_field(of: type, name: str) -> str | None:
    """Docstring of the field `name`, from the class or the nearest base that has one; None if there is none."""
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


@functools.cache
def _definition(of: type) -> ast.ClassDef | None:
    """The source of a class; None if it is not available, as for built-in classes."""
    try:
        tree = ast.parse(inspect.getsource(of))
    except (OSError, TypeError):
        return None
    return next((each for each in tree.body if isinstance(each, ast.ClassDef)), None)
