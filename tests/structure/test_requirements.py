"""docs/requirements.md and the tests agree: the state of each row, and the test files that name it.

`pytest tests/structure/test_requirements.py --update-golden` writes the lists of tests on the page. The states are
written by hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox.paths import ROOT

PAGE = ROOT / "docs" / "requirements.md"
ROWS = [f"S{number:02}" for number in range(1, 27)]
STATES = ("proven", "partly", "not yet")

HEADING = re.compile(r"^### (S\d\d) · (.+) · ([a-z ]+)$", re.MULTILINE)
TESTS = re.compile(r"^Tests: .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"seed rows? (S\d\d(?:(?:, and |, | and )S\d\d)*)", re.IGNORECASE)
WIDTH = 120


class Row(NamedTuple):
    """A row of the page."""

    name: str
    state: str
    text: str

    @property
    def tests(self) -> list[str]:
        return [path for line in TESTS.findall(self.text) for path in re.findall(r"`([^`]+)`", line)]


def sections(page: str) -> list[tuple[str, str, int, int]]:
    """(row, state, start, end) of the text below each row's heading. It ends at the next heading of any level."""
    found = []
    for heading in HEADING.finditer(page):
        after = re.compile(r"^#", re.MULTILINE).search(page, heading.end())
        found.append((heading[1], heading[3], heading.end(), after.start() if after else len(page)))
    return found


def rows(page: str) -> list[Row]:
    """The rows of a page in its order."""
    return [Row(name, state, page[start:end]) for name, state, start, end in sections(page)]


def named(text: str) -> set[str]:
    """The rows that a test file names."""
    return {row for found in NAMED.findall(text) for row in re.findall(r"S\d\d", found)}


def files() -> list[Path]:
    """Every Python file of the tests, without this one."""
    found = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "sandbox" / "tests").rglob("*.py")]
    return [path for path in found if path != Path(__file__)]


def naming() -> dict[str, set[str]]:
    """Every test file that names a row: its path from the root, and the rows."""
    found = {path.relative_to(ROOT).as_posix(): named(path.read_text()) for path in files()}
    return {path: names for path, names in found.items() if names}


def listed(paths: list[str]) -> str:
    """The line of a row that lists its tests, wrapped."""
    lines, last = [], "Tests:"
    for index, path in enumerate(paths):
        word = f"`{path}`" + ("," if index < len(paths) - 1 else "")
        if len(last) + 1 + len(word) > WIDTH:
            lines.append(last)
            last = word
        else:
            last = f"{last} {word}"
    return "\n".join([*lines, last if paths else "Tests: none"])


def rewritten(page: str, proofs: dict[str, set[str]]) -> str:
    """The page with the lists of tests that `proofs` (path → rows) gives."""
    for name, _, start, end in reversed(sections(page)):
        line = listed(sorted(path for path, names in proofs.items() if name in names))
        page = page[:start] + TESTS.sub(lambda _, line=line: line, page[start:end]) + page[end:]
    return page


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> str:
    text = PAGE.read_text()
    if request.config.getoption("--update-golden"):
        text = rewritten(text, naming())
        PAGE.write_text(text)
    return text


@pytest.fixture(scope="module")
def proofs() -> dict[str, set[str]]:
    return naming()


def test_every_row_is_on_the_page_once_in_order_and_with_a_state(page: str) -> None:
    found = rows(page)
    assert [row.name for row in found] == ROWS
    assert re.findall(r"^#+ .*\b(S\d\d)\b", page, re.MULTILINE) == ROWS, "a heading of a row: ### S07 · title · state"
    assert {row.name: row.state for row in found if row.state not in STATES} == {}
    assert {row.name: len(TESTS.findall(row.text)) for row in found} == {row: 1 for row in ROWS}, "one line of tests"


@pytest.mark.parametrize("row", ROWS)
def test_a_row_lists_the_tests_that_name_it_and_no_others(row: str, page: str, proofs: dict[str, set[str]]) -> None:
    """Each file that the page names exists and names the row; each file that names the row is on the page."""
    found = next((each for each in rows(page) if each.name == row), None)
    assert found, f"{row} is not on the page"
    missing = [path for path in found.tests if not (ROOT / path).is_file()]
    assert not missing, f"{row}: not there: {missing}"
    silent = [path for path in found.tests if row not in proofs.get(path, ())]
    assert not silent, f"{row}: these do not contain `seed row {row}`: {silent}"
    absent = sorted(path for path, names in proofs.items() if row in names and path not in found.tests)
    assert not absent, f"{row}: not on the page: {absent}; --update-golden writes the lists"
    assert len(found.tests) == len(set(found.tests)), f"{row}: a file is listed twice"


def test_no_test_names_a_row_that_does_not_exist(proofs: dict[str, set[str]]) -> None:
    assert {path: names - set(ROWS) for path, names in proofs.items() if names - set(ROWS)} == {}


def test_a_row_of_a_test_is_named_where_this_file_finds_it() -> None:
    """`named` finds rows in one wording only."""
    loose = []
    for path in files():
        for line in path.read_text().splitlines():
            if set(re.findall(r"\bS(?:0[1-9]|1\d|2[0-6])\b", line)) - named(line):
                loose.append(f"{path.relative_to(ROOT)}: {line.strip()}")
    assert loose == []


def test_a_proven_row_has_a_test(page: str) -> None:
    assert [row.name for row in rows(page) if row.state == "proven" and not row.tests] == []


def test_rows_are_read_from_a_test_as_they_are_written() -> None:
    assert named("Seed rows S01, S02 and S03 on GKE; S04 is none. seed row S24: x") == {"S01", "S02", "S03", "S24"}
    assert named("seed rows S05, S07, and S18") == {"S05", "S07", "S18"}


def test_the_lists_are_written_where_they_belong() -> None:
    before = "### S01 · a · proven\n\nTests: `x.py`\n\n## next\n\n### S02 · b · partly\n\nTests: none\n"
    after = rewritten(before, {"tests/b.py": {"S01", "S02"}, "tests/a.py": {"S01"}})
    assert [row.tests for row in rows(after)] == [["tests/a.py", "tests/b.py"], ["tests/b.py"]]
    assert "## next" in after
