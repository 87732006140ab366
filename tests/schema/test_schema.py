"""The schema of the Pulumi package: complete, described, and up to date in the repository."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from plugin import library, schema
from plugin.provider import LibraryProvider
from sandbox.paths import ROOT

COMPONENT = re.compile(r"^class ([A-Z]\w+)\(pulumi\.ComponentResource\):", re.MULTILINE)


@pytest.fixture(scope="module")
def generated(provider: LibraryProvider) -> dict[str, Any]:
    assert provider.schema
    return json.loads(provider.schema)


def descriptions(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(name, description or "") of everything in a schema that can have a description."""
    for token, resource in schema["resources"].items():
        yield token, resource.get("description", "")
        for kind in ("inputProperties", "properties"):
            for name, declared in resource[kind].items():
                yield f"{token} {kind}.{name}", declared.get("description", "")
    for token, declared in schema["types"].items():
        yield token, declared.get("description", "")
        for name, field in declared["properties"].items():
            yield f"{token} {name}", field.get("description", "")


def test_the_schema_is_up_to_date(generated: dict[str, Any]) -> None:
    assert json.loads(schema.FILE.read_text()) == generated, "run `make schema`"
    assert schema.FILE.read_text() == schema.text(generated)


def test_every_component_is_in_the_schema_or_has_a_reason(generated: dict[str, Any]) -> None:
    written = {name for path in (ROOT / "components").rglob("*.py") for name in COMPONENT.findall(path.read_text())}
    offered = {token.rpartition(":")[2] for token in generated["resources"]}
    assert len(offered) > 20
    assert offered == written - set(library.NOT_OFFERED)
    assert set(library.NOT_OFFERED) <= written


def test_everything_has_a_description(generated: dict[str, Any]) -> None:
    missing = [what for what, text in descriptions(generated) if not text]
    assert not missing, f"{len(missing)} without a docstring: {', '.join(missing[:20])}"


def test_no_description_keeps_the_indentation_of_the_source(generated: dict[str, Any]) -> None:
    """Other languages' documentation would show indented text as code."""
    for what, text in descriptions(generated):
        assert text == text.strip(), what
        lines = text.splitlines()[1:]
        assert not lines or min(len(line) - len(line.lstrip()) for line in lines if line) == 0, what


def test_the_schema_refers_to_no_other_package(generated: dict[str, Any]) -> None:
    """Its SDK can then be generated on a machine that cannot download plugins."""
    assert not generated.get("dependencies")
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(generated)))
    assert references
    assert {each for each in references if not each.startswith("#/types/gpuyard:index:")} <= {"pulumi.json#/Any"}
