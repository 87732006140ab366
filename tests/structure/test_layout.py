"""The rules that hold the source together: who imports whom, how long a module may be, what a component looks like."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pulumi
import pytest
import yaml
from pulumi.provider.experimental.analyzer import Analyzer

import components
from sandbox.paths import ROOT
from stack import environment, on
from stack.config import Config

PACKAGES = ["components", "stack", "recording", "pages", "plugin", "sandbox", "tools", "tests", "bench"]
LONGEST = 460
LONGEST_TABLE = 600
"""Lines of a module; tables of the simulated clouds and tests may have a few more."""

# Package → packages of this repository that it may import.
MAY_IMPORT = {
    "__main__": {"stack"},
    "components": {"components"},
    "stack": {"stack", "components"},
    "recording": {"recording", "sandbox", "stack", "components"},
    "plugin": {"plugin", "components"},
    "pages": {"pages", "recording", "sandbox", "stack", "components"},
    "tools": {"tools", "sandbox", "components"},
    "sandbox": {"sandbox", "tools", "components"},
}


def sources() -> list[Path]:
    """Every Python file of the repository."""
    return [ROOT / "__main__.py", *(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(package of this repository, what is imported from it) for every import in a file."""
    inside = path.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found = [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from ..pools import x` in components/aws/: two levels above the module, below its package.
            base = ".".join((*inside[: len(inside) - node.level], *([node.module] if node.module else [])))
            found = [(base, alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            if module.split(".")[0] in {*PACKAGES, "__main__"}:
                yield module, name


def component_classes() -> dict[str, type[pulumi.ComponentResource]]:
    """Every component of the library by its module's name and its own."""
    found: dict[str, type[pulumi.ComponentResource]] = {}
    for module in library_modules():
        for name, value in vars(module).items():
            if (
                inspect.isclass(value)
                and issubclass(value, pulumi.ComponentResource)
                and value.__module__ == module.__name__
            ):
                found[f"{module.__name__}.{name}"] = value
    return found


def library_modules() -> list[ModuleType]:
    names = [info.name for info in pkgutil.walk_packages(components.__path__, "components.") if not info.ispkg]
    return [importlib.import_module(name) for name in names]


COMPONENTS = component_classes()


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_says_what_it_is_for_and_imports_one_way(path: Path) -> None:
    tree, text = ast.parse(path.read_text()), path.read_text()
    table = "rows" in path.parts or "tests" in path.parts
    assert len(text.splitlines()) <= (LONGEST_TABLE if table else LONGEST), "split it: one noun per module"
    if tree.body:
        assert ast.get_docstring(tree), "a module says what it is for"
    home = path.relative_to(ROOT).parts[0].removesuffix(".py")
    folder = path.relative_to(ROOT).parent.as_posix()
    allowed = MAY_IMPORT.get(folder, MAY_IMPORT.get(home, PACKAGES))
    for module, name in imports(path):
        assert module.split(".")[0] in allowed, f"{home} must not know {module}"
        if module.split(".")[0] == "components" and home != "components" and home != "tests":
            assert not name.startswith("_") and "._" not in module, f"{module}.{name} is private to the library"


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_has_the_librarys_shape(name: str) -> None:
    """(name, args, opts) with args a TypedDict, the token of its own name, documented outputs."""
    found = COMPONENTS[name]
    parameters = inspect.signature(found.__init__).parameters
    assert list(parameters) == ["self", "name", "args", "opts"]
    assert parameters["opts"].default is None
    hints = typing.get_type_hints(found.__init__)
    assert typing.is_typeddict(hints["args"]) and hints["args"].__name__ == f"{found.__name__}Args"
    assert inspect.getdoc(hints["args"]), "its arguments are documented"
    source = inspect.getsource(found)
    assert f'"gpuyard:index:{found.__name__}"' in source
    assert inspect.getdoc(found), "a component says what it makes"
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    for index, node in enumerate(body.body):
        if isinstance(node, ast.AnnAssign):
            after = body.body[index + 1]
            described = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            assert described, f"output {ast.unparse(node.target)} is documented"
    assert source.rstrip().count("self.register_outputs(") == 1


def test_other_languages_can_use_every_component() -> None:
    """Pulumi's own analyzer reads the library as it will for a plugin: no type that it cannot translate."""
    analyzed = Analyzer("gpuyard").analyze(components=list(COMPONENTS.values()))
    assert set(analyzed["component_definitions"]) == {found.__name__ for found in COMPONENTS.values()}


def test_no_component_module_postpones_its_annotations() -> None:
    """The analyzer does not take `from __future__ import annotations`."""
    for module in {found.__module__ for found in COMPONENTS.values()}:
        assert "from __future__ import annotations" not in inspect.getsource(importlib.import_module(module)), module


def test_pulumi_yaml_declares_what_the_models_read_and_nothing_else() -> None:
    """seed row S24: `pulumi config` knows every key, its type and its default."""
    declared = {
        key.removeprefix("gpuyard:"): found
        for key, found in yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"].items()
    }
    fields = {field.alias or name: field for name, field in Config.model_fields.items()}
    assert set(declared) == set(fields)
    kinds = {"string": "Literal", "boolean": "bool"}
    for key, found in declared.items():
        assert found["description"], key
        assert kinds.get(found["type"], "") in str(fields[key].annotation), key
        assert "default" in found, f"{key}: the engine's error about a missing value knows no near names"
        if not fields[key].is_required():
            # What the engine fills in must mean what the model would have taken.
            given = Config.model_validate({**_minimal(), key: found["default"]})
            assert getattr(given, _field(key)) == getattr(Config.model_validate(_minimal()), _field(key)), key


def test_every_key_of_a_section_is_in_its_description() -> None:
    """A person reads the keys in `Pulumi.yaml`, so none is missing there."""
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    for config in environment.CONFIGS.values():
        for name, field in config.model_fields.items():
            section = typing.get_args(field.annotation)[1] if name == "node_pools" else field.annotation
            for nested in getattr(section, "model_fields", {}).values():
                text = declared[f"gpuyard:{field.alias or name}"]["description"]
                assert re.search(rf"\b{nested.alias}\b", text), f"{field.alias or name}.{nested.alias}"


def _field(alias: str) -> str:
    return next(name for name, field in Config.model_fields.items() if alias in (name, field.alias))


def _minimal() -> dict[str, object]:
    pool = {"machineTypes": ["m5.large"], "min": 1, "max": 2}
    return {"network": {"zones": ["us-east-1a", "us-east-1b"]}, "nodePools": {"cpu": pool}}


def test_the_clouds_mirror_each_other() -> None:
    """Same modules, same functions with the same parameters: the program asks nowhere which cloud it is on."""

    def functions(module: ModuleType) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(value).parameters)
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }

    for module in (on.cloud, on.checks, on.changes):
        mine, theirs = module("aws"), module("gcp")
        assert functions(mine) == functions(theirs) != {}
    for noun in ("network", "cluster", "node_pool", "storage"):
        for cloud in ("aws", "gcp"):
            assert (ROOT / "components" / cloud / f"{noun}.py").exists()


def test_the_stack_exports_the_same_names_on_both_clouds() -> None:
    from recording.stacks import recorded

    assert set(recorded("dev").exports) == set(recorded("dev-gke").exports)
