"""No text has a banned phrase of CONTRIBUTING.md's chapter "English", and no identifier a banned word.

The chapter's two tables are the only list: a phrase is banned if it is in backticks in the left column. Sentences
without backticks are examples, which this test does not search for.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sandbox.paths import ROOT
from tests.structure import source

RULES = ROOT / "CONTRIBUTING.md"
ROOMS = [*source.PACKAGES, "examples"]
GENERATED = ROOT / "docs" / "api"


def banned(heading: str) -> list[str]:
    """The phrases in backticks in the left column of the table with this header."""
    _, _, table = RULES.read_text().partition(f"| {heading} | but |\n")
    rows = [line for line in table.partition("\n\n")[0].splitlines() if not line.startswith("|---")]
    return [found for row in rows for found in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


# Between two words: blanks, or a line break and the marker of a comment.
GAP = r"\s+(?:(?:#|//|\*|>)\s+)?"
PHRASES = re.compile(
    rf"\b({'|'.join(GAP.join(map(re.escape, phrase.split())) for phrase in banned('not'))})\b", re.IGNORECASE
)
NAMES = frozenset(banned("not in a name"))


def modules() -> list[Path]:
    """Every Python file except this one."""
    found = [ROOT / "__main__.py", ROOT / "conftest.py", *source.files(ROOMS)]
    return [path for path in found if path != Path(__file__) and "node_modules" not in path.parts]


def pages() -> list[Path]:
    """Every hand-written page, and other files with comments, except the rules themselves."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    found += [*(ROOT / "sandbox").rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
    found += [ROOT / "Makefile", *ROOT.glob("*.yaml"), *ROOT.glob("*.in"), *(ROOT / "sandbox").rglob("*.yaml")]
    found += [*(ROOT / "tools").glob("*.yaml"), *(ROOT / "examples").glob("*/*.yaml")]
    found += (ROOT / "examples").glob("*/*.ts")
    kept = [path for path in found if GENERATED not in path.parents and "node_modules" not in path.parts]
    return [path for path in kept if path != RULES]


@cache
def tokens(path: Path) -> list[tokenize.TokenInfo]:
    """The tokens of a module."""
    return list(tokenize.generate_tokens(io.StringIO(path.read_text()).readline))


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every docstring, text literal and comment of a module; comments of adjacent lines are one."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    block: list[tokenize.TokenInfo] = []
    for token in (each for each in tokens(path) if each.type == tokenize.COMMENT):
        if block and token.start[0] != block[-1].start[0] + 1:
            yield block[0].start[0], " ".join(each.string.lstrip("# ") for each in block)
            block = []
        block.append(token)
    if block:
        yield block[0].start[0], " ".join(each.string.lstrip("# ") for each in block)


def paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every paragraph of a page, without code blocks."""
    text = re.sub(r"^```.*?^```", lambda found: "\n" * found[0].count("\n"), path.read_text(), flags=re.M | re.S)
    for found in re.finditer(r"(?:^.*\S.*\n?)+", text, re.MULTILINE):
        yield text.count("\n", 0, found.start()) + 1, found[0]


def found_in(path: Path) -> list[str]:
    """`FILE:LINE: phrase` for every banned phrase in a file."""
    found = texts(path) if path.suffix == ".py" else paragraphs(path)
    return [
        f"{path.relative_to(ROOT)}:{line + text.count(chr(10), 0, match.start())}: {match[0]}"
        for line, text in found
        for match in PHRASES.finditer(text)
    ]


def words(identifier: str) -> list[str]:
    """The words of an identifier in snake case, camel case or capitals."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", identifier)]


@cache
def is_banned(identifier: str) -> bool:
    """Whether an identifier is banned itself, or contains a banned word or banned words in a row."""
    inside = f"_{'_'.join(words(identifier))}_"
    return identifier in NAMES or any(f"_{name}_" in inside for name in NAMES)


def test_the_tables_are_read() -> None:
    assert len(banned("not")) > 20 and len(NAMES) > 8


@pytest.mark.parametrize("gap", [" ", "\n", "\n    ", "\n# ", "\n    // "])
def test_a_phrase_that_wraps_is_found(gap: str) -> None:
    assert PHRASES.search(f"it runs by{gap}itself")


def test_a_banned_name_is_found_in_longer_ones() -> None:
    assert all(map(is_banned, ["_ways_out", "find_ways_in", "someThing", "Left", "_LOOKS"]))
    assert not any(map(is_banned, ["left", "something", "ways", "Leftovers"]))


def room(path: Path) -> str:
    """The folder of a file below the repository, at most two levels deep: one test reads all of it."""
    return "/".join(path.relative_to(ROOT).parts[:-1][:2]) or "top"


@pytest.mark.parametrize("name", sorted({room(path) for path in [*modules(), *pages()]}))
def test_no_text_has_a_banned_phrase(name: str) -> None:
    files = [path for path in [*modules(), *pages()] if room(path) == name]
    wrong = [phrase for path in files for phrase in found_in(path)]
    assert files and not wrong, "see the table in CONTRIBUTING.md, English"


@pytest.mark.parametrize("name", sorted({room(path) for path in modules()}))
def test_no_identifier_has_a_banned_word(name: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}:{token.start[0]}: {token.string}"
        for path in modules()
        if room(path) == name
        for token in tokens(path)
        if token.type == tokenize.NAME and is_banned(token.string)
    }
    assert not wrong, "see the table in CONTRIBUTING.md, English"
