"""Everything that is installed on a machine with credentials of the clouds is pinned by hash."""

from __future__ import annotations

import re

import pytest

from sandbox.paths import ROOT

LINE = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def locked(name: str) -> dict[str, set[str]]:
    """Package → its versions (one for each range of Pythons), each of which has hashes."""
    found: dict[str, set[str]] = {}
    before = ""
    for line in (ROOT / f"{name}.txt").read_text().splitlines():
        if package := LINE.fullmatch(line):
            found.setdefault(package[1], set()).add(package[2])
        else:
            assert line.startswith("#") or HASH.fullmatch(line), f"neither a pin nor a hash: {line}"
            assert not HASH.fullmatch(line) or before.endswith("\\"), "a hash without a package"
        before = line
    return found


def asked(name: str) -> dict[str, str]:
    """Package → version, for direct dependencies."""
    lines = (ROOT / f"{name}.in").read_text().splitlines()
    named = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    assert all(line.startswith(("#", "-r ")) or "==" in line for line in lines if line), "a package without a version"
    return {re.sub(r"\[.*\]", "", package).lower(): version for package, version in named}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_every_package_is_pinned_with_its_hashes(name: str) -> None:
    """security case M9: including indirect dependencies, so that pip refuses any other file."""
    pins = locked(name)
    for package, version in asked(name).items():
        assert pins[package] == {version}, f"{name}.txt is not made from {name}.in"


def test_the_stack_and_its_tests_run_on_the_same_packages() -> None:
    """security case M9"""
    stack, everything = locked("requirements"), locked("requirements-dev")
    assert {name: everything.get(name) for name in stack} == stack
    assert len(stack) > 7 * 5, "seven packages have dozens of dependencies"
