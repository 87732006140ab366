"""What the library's packages export: every component and every type of its arguments, once, and lazily.

`pytest tests/structure/test_exports.py --update-golden` writes the lines that these tests miss, moves those of a type
whose module has moved, and removes those of a type that is gone.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import typing
from importlib.util import find_spec
from pathlib import Path

import pytest

import components
from components import exports
from sandbox.paths import ROOT
from tests.structure.library import PACKAGES, component_classes, interface

SDKS = {"aws": ("pulumi_aws", "pulumi_eks"), "gcp": ("pulumi_gcp",)}
"""Package → the SDKs that only it may load."""
EXPORTING = ("components", *(f"components.{package}" for package in (*PACKAGES, "charts")))


def relative(package: str, module: str) -> str:
    """A module as a package's `__init__.py` imports from it: `.cluster`, `..versions`."""
    ours, theirs = package.split("."), module.split(".")
    same = next((n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return "." * (1 + len(ours) - same) + ".".join(theirs[same:])


def source(package: str) -> Path:
    """The `__init__.py` of a package."""
    return ROOT.joinpath(*package.split("."), "__init__.py")


def written(package: str) -> str:
    """The source of a package with the required exports. Other exports stay if they exist."""
    types = {each.__name__ for each in interface()}
    lines = {
        name: module
        for name, module in exports.exported(package).items()
        if name not in types and find_spec(module) and hasattr(importlib.import_module(module), name)
    }
    lines |= {each.__name__: each.__module__ for each, home in interface().items() if home == package}
    rows = sorted((relative(package, module), name) for name, module in lines.items())
    block = "".join(f"    from {module} import {name} as {name}\n" for module, name in rows)
    found = re.compile(r"(?<=^if TYPE_CHECKING:\n).*?(?=^else:\n)", re.DOTALL | re.MULTILINE)
    return found.sub(lambda _: block, source(package).read_text(), count=1)


@pytest.fixture(scope="module", autouse=True)
def updated(request: pytest.FixtureRequest) -> None:
    for package in EXPORTING if request.config.getoption("--update-golden") else ():
        source(package).write_text(written(package))


@pytest.mark.parametrize("package", EXPORTING)
def test_the_exports_of_a_package_are_in_order(package: str) -> None:
    assert source(package).read_text() == written(package), "--update-golden writes the lines"


@pytest.fixture(scope="module")
def expected() -> dict[str, set[str]]:
    """Package → names of the components and of the types of their arguments that it exports."""
    found: dict[str, set[str]] = {package: set() for package in EXPORTING}
    for each, package in interface().items():
        found[package].add(each.__name__)
    return found


@pytest.mark.parametrize("package", EXPORTING)
def test_a_package_exports_its_components_and_the_types_of_their_arguments(
    package: str, expected: dict[str, set[str]]
) -> None:
    lines = {each.__name__: f"from {each.__module__} import {each.__name__}" for each in interface()}
    missing = expected[package] - set(exports.exported(package))
    assert not missing, f"{package}/__init__.py lacks, under TYPE_CHECKING: {[lines[name] for name in missing]}"


@pytest.mark.parametrize("package", EXPORTING)
def test_a_package_exports_nothing_that_another_one_should(package: str, expected: dict[str, set[str]]) -> None:
    elsewhere = {name: home for home, names in expected.items() for name in names if home != package}
    assert {name: elsewhere[name] for name in exports.exported(package) if name in elsewhere} == {}


@pytest.mark.parametrize("package", EXPORTING)
def test_every_export_exists_and_is_what_type_checkers_see(package: str) -> None:
    module = importlib.import_module(package)
    assert module.__all__ == sorted(exports.exported(package))
    for name, home in exports.exported(package).items():
        value = getattr(module, name)
        assert value is getattr(importlib.import_module(home), name)
        assert value.__module__ == home, f"{name} is imported from {home}, which did not define it"
        assert name in dir(module)
    for node in ast.walk(ast.parse(source(package).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module not in ("typing", "exports"):
            assert all(alias.asname == alias.name for alias in node.names), "re-exports are written `X as X` (PEP 484)"


@pytest.mark.parametrize("package", EXPORTING)
def test_a_name_that_is_not_exported_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'EksClutser'"):
        _ = importlib.import_module(package).EksClutser


def test_each_component_is_found_under_one_name() -> None:
    names = [found.__name__ for found in component_classes()]
    assert sorted(names) == sorted(set(names))
    assert {each.__name__ for each in interface()} >= {f"{name}Args" for name in names}


PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    package, _, everything = name.partition(":")
    module = importlib.import_module(package)
    for each in module.__all__ if everything else ():
        getattr(module, each)
print(*sorted({name.partition(".")[0] for name in sys.modules if name.startswith("pulumi")}))
"""


def loaded(*packages: str) -> set[str]:
    """Pulumi's packages that a fresh Python has loaded after these imports; `PACKAGE:all` uses every export too."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *packages], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_library_or_a_package_of_it_loads_no_sdk() -> None:
    assert loaded(*EXPORTING) == set()


def test_types_that_both_clouds_use_load_no_sdk_of_a_cloud() -> None:
    clouds = {sdk for sdks in SDKS.values() for sdk in sdks}
    assert loaded("components:all", "components.monitoring:all", "components.cleanup:all").isdisjoint(clouds)


@pytest.mark.parametrize("cloud, other", [("aws", "gcp"), ("gcp", "aws")])
def test_a_cloud_never_loads_the_sdk_of_the_other(cloud: str, other: str) -> None:
    found = loaded(f"components.{cloud}:all")
    assert found >= set(SDKS[cloud]), "its own SDK was not loaded, so the test proves nothing"
    assert found.isdisjoint(SDKS[other])


@pytest.mark.parametrize("cloud, component", [("aws", "EksCluster"), ("gcp", "GkeCluster")])
def test_an_sdk_that_is_not_installed_is_named_with_its_extra(cloud: str, component: str) -> None:
    """By one error, whose cause is not shown."""
    missing = SDKS[cloud][0]
    program = f"import sys\nsys.modules[{missing!r}] = None\nfrom components.{cloud} import {component}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: components.{cloud}.{component} needs {missing.replace('_', '-')}, which is not installed: "
        "pip install -r requirements.txt"
    )


@pytest.mark.parametrize("package", ["gpuyard.aws", "gpuyard.gcp"])
def test_an_installed_library_names_its_extra_and_no_distribution_of_an_index(package: str) -> None:
    cloud = package.partition(".")[2]
    text = exports._fix(package, cloud)
    assert text == f"it is in the extra `{cloud}`: pip install '.[{cloud}]' in a clone of gpuyard"


def test_an_export_is_read_from_the_lines_that_type_checkers_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "several"
    package.mkdir()
    (package / "one.py").write_text("class One: ...\n")
    lines = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .one import One as One\n"
    (package / "__init__.py").write_text(lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    assert exports.exported("several") == {"One": "several.one"}
    (package / "__init__.py").write_text(f"{lines}    from .two import One as One\n")
    with pytest.raises(ImportError, match="One is exported twice"):
        exports.exported("several")


def test_the_interface_is_complete() -> None:
    """What the other tests compare with is found in the code: neither empty nor cut short."""
    names = {each.__name__ for each in interface()}
    assert {
        "EksCluster",
        "EksNodePoolSpec",
        "GkeNodePoolSpec",
        "Taint",
        "ClusterCleanupArgs",
        "ClusterFacts",
        "EksAddonsSpec",
    } <= names
    assert all(typing.is_typeddict(each) or each in component_classes() for each in interface())
    assert components.__version__
