"""How the plugin translates a caller's inputs for a component, and shows a component's errors."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, TypedDict

import pulumi
import pytest
from pulumi.errors import InputPropertiesError
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.server import ComponentInitError

from components import checks, docstrings
from plugin import library
from plugin.provider import LibraryProvider
from plugin.server import LibraryServer
from sandbox.paths import ROOT


class Base(TypedDict):
    """Fields that all have."""

    size: int
    """How many.

    In nodes."""
    plain: str


class Derived(Base):
    name: str
    """What it is called."""


def mapped(provider: LibraryProvider, inputs: dict[str, Any], component: str = "EksNodePool") -> dict[str, Any]:
    return provider.map_inputs(inputs, provider._component_defs[component])


def test_names_are_translated_at_every_depth(provider: LibraryProvider) -> None:
    pool = {"machineTypes": ["g6.2xlarge"], "taints": [{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}]}
    found = mapped(provider, {"nodeRoleArn": "arn", "pool": {**pool, "reservation": {"id": "cr-1"}}})
    assert found == {
        "node_role_arn": "arn",
        "pool": {
            "machine_types": ["g6.2xlarge"],
            "taints": [{"key": "a", "value": "b", "effect": "NO_SCHEDULE"}],
            "reservation": {"id": "cr-1"},
        },
    }
    pools = {"cpu-workers": {"machineTypes": ["m5.large"], "updatePercentage": 33}}
    assert mapped(provider, {"nodePools": pools}, "NvidiaDevicePlugin") == {
        "node_pools": {"cpu-workers": {"machine_types": ["m5.large"], "update_percentage": 33}}
    }


def test_keys_of_free_form_maps_are_not_translated(provider: LibraryProvider) -> None:
    assert mapped(provider, {"tags": {"costCenter": "ml"}, "pool": {"labels": {"teamName": "a"}}}) == {
        "tags": {"costCenter": "ml"},
        "pool": {"labels": {"teamName": "a"}},
    }


def test_free_form_maps_have_one_order(provider: LibraryProvider) -> None:
    """The engine keeps none, and the first zones of a pool get the remainder of its nodes."""
    subnets = {"us-east-1b": "subnet-b", "us-east-1a": "subnet-a"}
    assert list(mapped(provider, {"subnetIds": subnets})["subnet_ids"]) == ["us-east-1a", "us-east-1b"]


@pytest.mark.usefixtures("event_loop")
def test_unknown_keys_reach_the_components_check(provider: LibraryProvider) -> None:
    """Otherwise a misspelled `capacity` would create an on-demand pool."""
    assert mapped(provider, {"pool": {"capacty": ["spot"]}, "zone": "a"}) == {
        "pool": {"capacty": ["spot"]},
        "zone": "a",
    }
    assert mapped(provider, {"pool": "gpu", "zones": "a"}) == {"pool": "gpu", "zones": "a"}
    later = pulumi.Output.from_input({"min": 0})
    assert mapped(provider, {"pool": later}) == {"pool": later}


def test_null_equals_omission(provider: LibraryProvider) -> None:
    assert mapped(provider, {"networkId": None, "pool": {"zones": None}}) == {"pool": {}}


def test_a_refusal_is_shown_without_a_traceback(provider: LibraryProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, *args: Any) -> None:
        raise ComponentInitError(pulumi.RunError("EksNodePool gpu: one value cannot work"))

    monkeypatch.setattr(ComponentProvider, "construct", refuse)
    with pytest.raises(InputPropertiesError) as refused:
        provider.construct("gpu", "gpuyard:index:EksNodePool", {})
    assert refused.value.message == "EksNodePool gpu: one value cannot work"


def test_an_unexpected_exception_keeps_its_traceback(
    provider: LibraryProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, *args: Any) -> None:
        raise ComponentInitError(KeyError("zones"))

    monkeypatch.setattr(ComponentProvider, "construct", fail)
    with pytest.raises(ComponentInitError):
        provider.construct("gpu", "gpuyard:index:EksNodePool", {})


def test_docstrings_of_inherited_fields_are_found() -> None:
    assert docstrings.of_field(Derived, "name") == "What it is called."
    assert docstrings.of_field(Derived, "size") == "How many.\n\nIn nodes."
    assert docstrings.of_field(Derived, "plain") is None
    assert docstrings.of_field(int, "real") is None
    assert docstrings.of_class(Base) == "Fields that all have."


@pytest.mark.parametrize("component", library.offered(), ids=lambda each: each.__name__)
def test_every_component_is_found_by_its_name(component: type[pulumi.ComponentResource]) -> None:
    assert library.component(component.__name__) is component


@pytest.mark.parametrize("name", ["ClusterCleanup", "EksNodePoolArgs", "Missing"])
def test_nothing_else_is_created(name: str) -> None:
    with pytest.raises(ValueError, match=f"no component {name}"):
        library.component(name)


def test_a_plugin_that_has_created_nothing_has_loaded_no_cloud() -> None:
    """It starts for every preview."""
    program = "import sys; from plugin import server; server.LibraryServer(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"pulumi_aws", "pulumi_eks", "pulumi_gcp", "pulumi_kubernetes"} & {*modules.stdout.split()}


def test_errors_name_the_fields_of_every_component_that_was_created(monkeypatch: pytest.MonkeyPatch) -> None:
    made = LibraryServer()
    monkeypatch.setattr(LibraryProvider, "construct", lambda *_: None)
    for name in ("EksNodePool", "GkeCluster"):
        made.construct("a", f"gpuyard:index:{name}", {})
    assert checks.spelled_text("`node_role_arn` and `release_channel`") == "`nodeRoleArn` and `releaseChannel`"
