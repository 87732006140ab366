"""docs/upgrades.md: its table of fields matches the code."""

from __future__ import annotations

import re

from components.changes import IN_PLACE
from sandbox import conflicts
from sandbox.paths import ROOT
from stack.aws import changes as aws_changes
from stack.gcp import changes as gcp_changes

PAGE = ROOT / "docs" / "upgrades.md"
POOLS = "nodePools.*."


def test_every_effect_is_on_a_page() -> None:
    """Reliability case R1: the page lists what is refused and what gives a warning, and docs/pools.md all keys of a
    pool. The pages are generated, which another test compares."""
    pools = PAGE.with_name("pools.md").read_text()
    for rules in (aws_changes.RULES, gcp_changes.RULES):
        for path, rule in rules.items():
            page, key = (pools, path[len(POOLS) :]) if path.startswith(POOLS) else (PAGE.read_text(), path)
            rows = [line for line in page.splitlines() if line.startswith(f"| `{key}` |")]
            assert rule == IN_PLACE or (len(rows) == 1 and f"| {rule} |" in rows[0]), path


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
