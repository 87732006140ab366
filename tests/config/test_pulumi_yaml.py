"""Pulumi.yaml declares the keys that the program reads, and is generated from the same declarations."""

from __future__ import annotations

import re

import pytest
import yaml
from pydantic.alias_generators import to_camel

from components import arguments
from components.clouds import CLOUDS
from pages.config.__main__ import main
from pages.config.declared import keys, section
from recording.stacks import record, recorded, settings
from sandbox.paths import ROOT
from stack import on

DECLARED = {
    key.removeprefix("gpuyard:"): found
    for key, found in yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"].items()
}


def test_pulumi_yaml_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_key_is_declared_with_its_type_and_default(cloud: str) -> None:
    """seed row S24: `pulumi config` lists every key. Without a default, the engine's error about a missing value would
    come first, and it does not name similar keys."""
    fields = {to_camel(name): field for name, field in on.shape(cloud).fields.items()}
    assert set(DECLARED) == set(fields)
    for key, found in DECLARED.items():
        kind = {"string": str, "boolean": bool}.get(found["type"])
        assert (fields[key].hint is kind) if kind else arguments.part(fields[key].hint) != (None, ""), key
        assert found["default"] == (fields[key].default if fields[key].default is not None else {}), key


@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_key_of_a_section_is_in_its_description(cloud: str) -> None:
    for name, field in on.shape(cloud).fields.items():
        inside = arguments.part(field.hint)[0]
        for nested in arguments.names(inside) if inside else []:
            text = DECLARED[to_camel(name)]["description"]
            assert re.search(rf"\b{to_camel(nested)}\b", text), f"{name}.{nested}"


@pytest.mark.parametrize(
    ("cloud", "section_name", "path"),
    [
        ("aws", "cluster", "access.NAME.principalArn"),
        ("aws", "cluster", "iam.roles.flowLog"),
        ("aws", "storage", "buckets.NAME.bucket"),
        ("gcp", "cluster", "maintenance.exclusions.NAME.first"),
        ("gcp", "node_pools", "taints[].key"),
    ],
)
def test_a_path_shows_what_is_a_name_or_an_item_of_a_list(cloud: str, section_name: str, path: str) -> None:
    assert path in [key.path for key in keys(section(cloud, section_name))]


def test_the_keys_inside_a_key_are_in_parentheses() -> None:
    assert "taints[] (key, value, effect)" in DECLARED["nodePools"]["description"]
    assert "buckets.NAME (bucket, prefix" in DECLARED["storage"]["description"]
    cluster = DECLARED["cluster"]["description"]
    assert "access.NAME (principalArn, level, namespaces, groups)" in cluster
    assert "iam (path, permissionsBoundary, roles (cluster, " in cluster
    assert "exclusions.NAME (first, last, scope))" in cluster


@pytest.mark.slow
@pytest.mark.parametrize("stack", ["prod", "prod-gke"])
def test_a_declared_default_equals_omitting_the_key(stack: str) -> None:
    """A file that contains all the docstrings' defaults gives the same resources with the same inputs."""
    config = settings(stack)
    shape = on.shape(config["gpuyard:cloud"])
    added = 0
    for key, value in list(config.items()):
        field = next((f for n, f in shape.fields.items() if f"gpuyard:{to_camel(n)}" == key), None)
        inside, held = arguments.part(field.hint) if field else (None, "")
        if inside:
            for place in value.values() if held == "map" else [value]:
                added += _fill(inside, place)
    assert added > 20
    omitted, written = recorded(stack), record(config, stack)
    assert written.resources.keys() == omitted.resources.keys()
    for urn, found in written.resources.items():
        assert found.inputs == omitted.resources[urn].inputs, urn


def _fill(shape: arguments.Shape, given: dict[str, object]) -> int:
    """Writes every default that is a value and is not written yet; returns how many."""
    added = 0
    for name, field in shape.fields.items():
        key = to_camel(name)
        inside, held = arguments.part(field.hint)
        if key not in given and isinstance(field.default, (bool, int, str, list)):
            given[key] = field.default
            added += 1
        elif inside and isinstance(mine := given.get(key), dict):
            for place in mine.values() if held == "map" else [mine]:
                added += _fill(inside, place)
    return added
