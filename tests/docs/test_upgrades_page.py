"""docs/upgrades.md: its table of fields is that of the code."""

from __future__ import annotations

from sandbox.paths import ROOT
from stack import aws_changes, gcp_changes
from stack.changes import IN_PLACE, Rule

PAGE = ROOT / "docs" / "upgrades.md"


def cell(rule: Rule | None) -> str:
    if rule is None:
        return "–"
    return f"{rule.effect.value}: {rule.note}" if rule.note else rule.effect.value


def table() -> list[str]:
    """A row for every field that does not simply change in place on each cloud that has it."""
    eks, gke = aws_changes.RULES, gcp_changes.RULES
    rows = []
    for path in dict.fromkeys([*eks, *gke]):
        if {eks.get(path, IN_PLACE), gke.get(path, IN_PLACE)} != {IN_PLACE}:
            rows.append(f"| `{path}` | {cell(eks.get(path))} | {cell(gke.get(path))} |")
    return rows


def test_the_table_of_fields_is_the_codes() -> None:
    """Reliability case R1: what the page promises is what is refused and said."""
    section = PAGE.read_text().partition("\n## ")[2].partition("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    assert shown == table(), "write this into docs/upgrades.md:\n" + "\n".join(table())
