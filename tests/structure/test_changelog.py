"""CHANGELOG.md, the upgrade guide and the library agree on the version."""

from __future__ import annotations

import re
from datetime import date

import components
from sandbox.paths import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
HEADING = re.compile(r"^## \[(\d+\.\d+\.\d+)\] – (unreleased|\d{4}-\d\d-\d\d)$", re.MULTILINE)
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
"""Kinds of changes in Keep a Changelog."""


def number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_the_newest_entry_is_the_librarys_version() -> None:
    versions = [version for version, _ in HEADING.findall(CHANGELOG)]
    assert versions[0] == components.__version__
    assert versions == sorted(set(versions), key=number, reverse=True), "newest first, each once"
    assert len(versions) == len(re.findall(r"^## ", CHANGELOG, re.MULTILINE)), "## [VERSION] – DATE"


def test_only_the_newest_version_may_be_unreleased() -> None:
    days = [day for _, day in HEADING.findall(CHANGELOG)]
    assert "unreleased" not in days[1:]
    released = [date.fromisoformat(day) for day in days if day != "unreleased"]
    assert released == sorted(released, reverse=True)


def test_an_entry_has_the_kinds_of_keep_a_changelog() -> None:
    assert set(re.findall(r"^### (.+)$", CHANGELOG, re.MULTILINE)) <= KINDS


def test_a_breaking_version_has_an_upgrade_guide() -> None:
    """From the version before it: a section of docs/upgrades.md."""
    versions = [version for version, _ in HEADING.findall(CHANGELOG)]
    parts = HEADING.split(CHANGELOG)[3::3]
    guide = (ROOT / "docs" / "upgrades.md").read_text()
    for version, before, part in zip(versions, versions[1:], parts):
        old, new = (".".join(each.split(".")[:2]) for each in (before, version))
        assert "**Breaking:**" not in part or f"\n### From {old} to {new}\n" in guide, version
