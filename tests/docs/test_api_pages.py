"""docs/api: up to date, complete, and read from the source."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pages.__main__ as every
from pages.api import page, source
from pages.api.__main__ import FOLDER, main
from tests.structure.library import component_classes, interface


def test_the_pages_are_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_a_page_that_is_out_of_date_or_left_over_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "api"
    shutil.copytree(FOLDER, folder)
    (folder / "aws.md").write_text((folder / "aws.md").read_text().replace("EksCluster", "EksClutser"))
    (folder / "azure.md").write_text("the page of a package that is gone\n")
    assert main(["--check"], folder) == 1
    output = capsys.readouterr().err
    assert "docs/api/aws.md is out of date.\nFix: make pages" in output and "docs/api/azure.md is out of date" in output
    assert "EksClutser" in (folder / "aws.md").read_text(), "a check writes nothing"
    assert main([], folder) == 0 and main(["--check"], folder) == 0
    assert not (folder / "azure.md").exists()


def test_every_component_type_field_and_output_is_on_a_page() -> None:
    text = {package: (FOLDER / page.file(package)).read_text() for package in source.PACKAGES}
    for found, home in interface().items():
        here = text[home.partition(".")[2]]
        headings = re.findall(rf"^##+ {found.__name__}$", here, re.MULTILINE)
        assert len(headings) == 1, found.__name__
    for component in component_classes():
        here = text[component.__module__.split(".")[1]]
        section = here.partition(f"\n## {component.__name__}\n")[2].partition("\n## ")[0]
        outputs = [name for name in component.__annotations__ if not name.startswith("_")]
        assert re.findall(r"^- \*\*`(\w+)`\*\*", section.partition("### Outputs")[2], re.MULTILINE) == outputs


def test_every_anchor_of_a_link_is_a_heading() -> None:
    anchors = {
        path.name: {heading.lower().replace(".", "").replace(" ", "-") for heading in headings(path)}
        for path in FOLDER.glob("*.md")
    }
    for path in FOLDER.glob("*.md"):
        for target, anchor in re.findall(r"\]\(([\w.]*)#([\w-]+)\)", path.read_text()):
            assert anchor in anchors[target or path.name], f"{path.name}: {target}#{anchor}"


def headings(path: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)


SAMPLE = '''
class Pool(Base, TypedDict):
    """A pool."""

    min: int
    """Nodes at least. Range: 0 to 1000.

    Zero lets it scale
    from zero."""
    zones: NotRequired[list[pulumi.Input[str]]]
    """Its zones. Default: all."""
    taints: typing_extensions.NotRequired[list["Taint"]]
    machine: NotRequired["hardware.MachineFacts | None"]
'''


def test_fields_are_read_with_their_docstrings_or_without() -> None:
    node = ast.parse(SAMPLE).body[0]
    assert isinstance(node, ast.ClassDef)
    low, zones, taints, machine = source.fields(node)
    assert low == source.Field(
        "min", "int", True, "Nodes at least. Range: 0 to 1000.\n\nZero lets it scale\nfrom zero."
    )
    assert zones == source.Field("zones", "list[Input[str]]", False, "Its zones. Default: all.")
    assert taints == source.Field("taints", "list[Taint]", False, "")
    assert machine == source.Field("machine", "MachineFacts | None", False, "")
    assert [each.required for each in source.fields(node, total=False)] == [False] * 4


def test_a_field_is_an_entry_with_its_type_links_and_every_paragraph() -> None:
    found = source.Class(
        "Pool", "m", "A pool.", ("Base",), (source.Field("t", "list[Taint]", True, "One.\n\nTwo."),), ""
    )
    text = "\n".join(page._fields(found, "### Pool", {"Taint": "gpuyard.md", "Base": "aws.md"}, "aws.md"))
    assert "Takes every key of [Base](#base) as well." in text
    assert "- **`t`** (`list[Taint]`, [Taint](gpuyard.md#taint), required): One.\n\n  Two." in text


def test_an_indented_part_of_a_docstring_is_code() -> None:
    assert page._text("One:\n\n    a = 1\n\n    b = 2\n\nTwo.") == [
        "One:", "", "```python", "a = 1", "", "b = 2", "```", "", "Two.",
    ]  # fmt: skip
    assert page._text("One:\n\n    a = 1") == ["One:", "", "```python", "a = 1", "```"]


def test_make_pages_runs_every_generator_and_keeps_the_worst_status(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {generate.__module__ for generate in every.GENERATORS} == {
        f"pages.{path.parent.name}.__main__" for path in Path(every.__file__).parent.glob("*/__main__.py")
    } - {"pages.images.__main__", "pages.dashboards.__main__"}, "one prints and writes no page, one needs Prometheus"
    ran: list[list[str] | None] = []

    def of(status: int) -> object:
        return lambda arguments: ran.append(arguments) or status

    monkeypatch.setattr(every, "GENERATORS", (of(1), of(0)))
    assert every.main(["--check"]) == 1 and ran == [["--check"], ["--check"]]


def test_generating_the_pages_loads_no_sdk() -> None:
    """The pages are generated from source text that is not imported."""
    program = "import sys, pages.api.__main__ as m; m.pages(); print([n for n in sys.modules if 'pulumi' in n])"
    argv = [sys.executable, "-c", program]
    done = subprocess.run(argv, cwd=source.ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
