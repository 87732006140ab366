"""The two distributions of this repository, the library and the sandbox, declare their packages and dependencies."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import components
from components import exports
from sandbox.paths import ROOT
from tests.structure import source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LIBRARY, SANDBOX = ROOT / "pyproject.toml", ROOT / "sandbox" / "pyproject.toml"

DISTRIBUTIONS = {
    "components": "gpuyard",
    "google": "protobuf",
    "googleapiclient": "google-api-python-client",
    "grpc": "grpcio",
    "yaml": "pyyaml",
}
"""Top-level name of an import → its distribution, where the two differ in more than a hyphen."""

OWN = {"sandbox", "tools"}


def settings(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text())


def declared(path: Path, extra: str = "") -> dict[str, str]:
    """Name → version range of every dependency, or of those of an extra."""
    project = settings(path)["project"]
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    found = (re.match(r"([\w.-]+)(?:\[\w+\])?(.*)", each) for each in wanted)
    return {match[1].lower(): match[2] for match in found if match}


def imported(*folders: str, without: Sequence[str] = ()) -> set[str]:
    """The distributions that the modules in these folders import, without the standard library."""
    names = set()
    for path in source.files(folders):
        if not source.is_test(path) and not any(path.is_relative_to(ROOT / folder) for folder in without):
            for node in ast.walk(ast.parse(path.read_text())):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    modules = [node.module or ""]
                names |= {module.split(".")[0] for module in modules}
    names -= {*sys.stdlib_module_names, *OWN, ""}
    return {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in names}


def test_the_sandbox_depends_on_exactly_what_it_imports() -> None:
    assert set(declared(SANDBOX)) == imported("sandbox")


def test_the_library_depends_on_exactly_what_it_imports() -> None:
    """The SDKs of a cloud are an extra: only the package of that cloud imports them."""
    base = imported("components", without=["components/aws", "components/gcp"])
    assert set(declared(LIBRARY)) == base
    for extra in ("aws", "gcp"):
        assert set(declared(LIBRARY, extra)) == imported(f"components/{extra}") - base
        assert set(exports.EXTRAS) >= {name.replace("-", "_") for name in declared(LIBRARY, extra)}


def test_the_extra_all_has_every_other_extra() -> None:
    extras = settings(LIBRARY)["project"]["optional-dependencies"]
    assert extras.pop("all") == [f"gpuyard[{','.join(extras)}]"]


def test_the_sandbox_has_and_requires_the_version_of_the_library() -> None:
    version = components.__version__
    assert settings(SANDBOX)["project"]["version"] == version
    assert declared(SANDBOX)["gpuyard"] == f"=={version}"


def test_the_package_for_other_languages_has_the_version_of_the_library() -> None:
    """`tests/structure/test_changelog.py` holds the same for CHANGELOG.md."""
    schema = json.loads((ROOT / "plugin" / "schema.json").read_text())
    assert schema["version"] == components.__version__, "run `make schema`"
    lock = json.loads((ROOT / "examples" / "typescript" / "package-lock.json").read_text())
    assert lock["packages"]["sdks/gpuyard"]["version"] == components.__version__, "see docs/languages.md"


def test_the_archive_is_of_a_previous_release() -> None:
    """The one that the newest version upgrades from: the entry of CHANGELOG.md below it."""
    versions = re.findall(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    minor = components.__version__.rpartition(".")[0]
    previous = next(each for each in versions if each.rpartition(".")[0] != minor)
    archives = (ROOT / "tests" / "engine" / "data").glob("gpuyard-*.tar.xz")
    assert [path.name for path in archives] == [f"gpuyard-{previous}.tar.xz"]


def test_the_library_does_not_depend_on_the_sandbox() -> None:
    assert "gpuyard-sandbox" not in declared(LIBRARY)


@pytest.mark.parametrize("name", sorted(set(declared(SANDBOX)) - {"gpuyard"}))
def test_the_pinned_version_is_in_the_range_that_the_sandbox_declares(name: str) -> None:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(".")[:3]]

    found = numbers(metadata.version(name))
    for limit in declared(SANDBOX)[name].split(","):
        sign, least = re.fullmatch(r"(>=|<)([\d.]+)", limit).groups()  # type: ignore[union-attr]
        bound = numbers(least)
        assert (found >= bound) if sign == ">=" else (found < bound), f"{name} {found} is not {limit}"


def test_the_sandbox_distribution_has_all_packages_except_tests() -> None:
    setup = settings(SANDBOX)["tool"]["setuptools"]
    folders = {path.parent for path in source.files(OWN) if path.name == "__init__.py" and not source.is_test(path)}
    assert set(setup["packages"]) == {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    for package, folder in setup["package-dir"].items():
        assert (SANDBOX.parent / folder).resolve() == ROOT / package


@pytest.mark.parametrize("package", sorted(OWN))
def test_every_other_file_of_a_package_is_in_the_distribution(package: str) -> None:
    patterns = settings(SANDBOX)["tool"]["setuptools"]["package-data"][package]
    kept = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
    other = {
        path
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and not source.is_test(path)
    }
    assert other - kept - {SANDBOX, SANDBOX.with_name("README.md")} == set()
