"""What a package of the library exports, and the module that each name is loaded from when it is first used.

A package lists its exports once, as the imports under `if TYPE_CHECKING` in its `__init__.py`: type checkers and
editors read them there, and `lazy` reads the same lines at run time. To add an export, add one line:

    if TYPE_CHECKING:
        from .cluster import EksCluster as EksCluster
    else:
        __getattr__, __dir__, __all__ = lazy(__name__)

Nothing is imported before a name is used (PEP 562), so `import gpuyard.aws` costs nothing and a stack on one cloud
never loads the SDK of the other. `__getattr__` is hidden from type checkers: they would accept any misspelled name.
"""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from typing import Any

EXTRAS = {"pulumi_aws": "aws", "pulumi_eks": "aws", "pulumi_gcp": "gcp"}
"""SDK of a cloud → the extra of the distribution that installs it."""


def exported(package: str) -> dict[str, str]:
    """The exports of a package: name → full name of the module that defines it, in the order of the source.

    Raises:
        ImportError: the package's source is not installed, or a name is exported twice.
    """
    source = pkgutil.get_data(package, "__init__.py")
    if source is None:
        raise ImportError(f"{package}: its exports are read from its source, which is not installed", name=package)
    found: dict[str, str] = {}
    for block in ast.parse(source).body:
        if not (isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"):
            continue
        for node in block.body:
            if not isinstance(node, ast.ImportFrom):
                continue
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                name = alias.asname or alias.name
                if name in found:
                    raise ImportError(f"{package}: {name} is exported twice", name=package)
                found[name] = module
    return found


def _fix(package: str, extra: str) -> str:
    """How to install the SDK. No index has the library, so a name there would be another one."""
    if package.partition(".")[0] == "components":  # the stack and the plugin, in a checkout
        return "pip install -r requirements.txt"
    return f"it is in the extra `{extra}`: pip install '.[{extra}]' in a clone of gpuyard"


def lazy(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package whose exports are loaded at their first use."""
    modules = exported(package)

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        try:
            value = getattr(importlib.import_module(modules[name]), name)
        except ModuleNotFoundError as error:
            sdk = (error.name or "").partition(".")[0]
            if sdk not in EXTRAS:
                raise
            missing = f"{package}.{name} needs {sdk.replace('_', '-')}, which is not installed"
            raise ImportError(f"{missing}: {_fix(package, EXTRAS[sdk])}", name=error.name) from None
        # The next use finds it without this function.
        vars(importlib.import_module(package))[name] = value
        return value

    def names() -> list[str]:
        return sorted({*vars(importlib.import_module(package)), *modules})

    return load, names, sorted(modules)
