"""docs/upgrades.md: its table of fields matches the code."""

from __future__ import annotations

import re

from sandbox import conflicts
from sandbox.paths import ROOT
from stack.aws import changes as aws_changes
from stack.changes import IN_PLACE, Rule
from stack.gcp import changes as gcp_changes

PAGE = ROOT / "docs" / "upgrades.md"


def cell(rule: Rule | None) -> str:
    if rule is None:
        return "–"
    return f"{rule.effect.value}: {rule.note}" if rule.note else rule.effect.value


def table() -> list[str]:
    """A row for every field that some cloud cannot simply change in place."""
    eks, gke = aws_changes.RULES, gcp_changes.RULES
    rows = []
    for path in dict.fromkeys([*eks, *gke]):
        if {eks.get(path, IN_PLACE), gke.get(path, IN_PLACE)} != {IN_PLACE}:
            rows.append(f"| `{path}` | {cell(eks.get(path))} | {cell(gke.get(path))} |")
    return rows


def test_the_table_of_fields_matches_the_code() -> None:
    """Reliability case R1: the page lists what is refused and what gives a warning."""
    section = PAGE.read_text().partition("\n## ")[2].partition("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    assert shown == table(), "write this into docs/upgrades.md:\n" + "\n".join(table())


def placeholders(template: str) -> str:
    """`{clusterName}` as `CLUSTER_NAME`."""
    return re.sub(r"\{(\w+)\}", lambda name: re.sub(r"(?<=[a-z\d])(?=[A-Z])", "_", name[1]).upper(), template)


def test_the_commands_for_orphaned_resources_are_those_of_the_errors() -> None:
    """reliability case R7"""
    section = PAGE.read_text().partition("\n## When a run was cut off\n")[2].partition("\n## ")[0]
    for template in (*conflicts.COMMANDS.values(), conflicts.OBJECT, conflicts.UNPROTECT.removesuffix(" && ")):
        assert f"`{placeholders(template)}`" in section, f"docs/upgrades.md lacks {placeholders(template)}"


def test_orphaned_resources_without_a_conflict_have_a_command() -> None:
    """Reliability case R7: they conflict with nothing, so no error names them."""
    section = PAGE.read_text().partition("Delete it before `pulumi destroy`")[2].partition("\n## ")[0]
    shown = set(re.findall(r"^\| ([^|(]+?) (?:\([^|]*\) )?\|", section, re.MULTILINE)) - {"what", "---"}
    names = {
        "aws:ec2/eip:Eip": "address",
        "aws:efs/fileSystem:FileSystem": "file system of EFS",
        "aws:fsx/lustreFileSystem:LustreFileSystem": "file system of FSx",
        "aws:iam/rolePolicy:RolePolicy": "policy in a role",
        "gcp:filestore/instance:Instance": "Filestore",
    }
    for token in conflicts.LEAKS:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", token.rpartition(":")[2]).lower()
        assert {names.get(token, words), words.upper()} & shown, f"docs/upgrades.md does not say how to delete {token}"
