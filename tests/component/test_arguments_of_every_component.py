"""Every component checks its arguments against their declaration first, before it creates anything."""

import typing
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components import arguments
from components.arguments import Field, Shape
from recording.recorder import run
from tests.component.stage import AWS_ZONES, GUIDE_CPU, aws_options, gcp_options
from tests.structure.test_layout import COMPONENTS

Component = type[pulumi.ComponentResource]
LIBRARY: list[Component] = list(COMPONENTS.values())


def shape_of(component: Component) -> Shape:
    """The arguments that the component accepts."""
    return arguments.shape(typing.get_type_hints(component.__init__)["args"])


def refusal(component: Component, args: Callable[[], dict[str, Any]]) -> str:
    """The error of a component called `x` with these arguments."""

    def program() -> None:
        options = gcp_options() if ".gcp." in component.__module__ else aws_options()
        component("x", args(), options)  # type: ignore[arg-type]

    with pytest.raises(pulumi.RunError) as caught:
        run(program)
    return str(caught.value)


def plain(shape: Shape) -> Field | None:
    """A field whose value must be known when the arguments are checked."""
    return next((each for each in shape.fields.values() if not arguments.is_input(each.hint)), None)


@pytest.mark.parametrize("component", LIBRARY, ids=lambda each: each.__name__)
class TestArguments:
    def test_an_unknown_key_is_refused_with_the_nearest_name(self, component: Component) -> None:
        field = max(shape_of(component).fields, key=len)
        text = refusal(component, lambda: {f"{field}s": "x"})
        assert text.startswith(f"{component.__name__} x: ")
        assert f"  {field}s = '…': unknown key" in text and f"fix: write `{field}`" in text

    def test_a_missing_argument_is_refused(self, component: Component) -> None:
        required = [name for name, each in shape_of(component).fields.items() if each.required]
        text = refusal(component, lambda: {"none_of_them": "x"})
        for name in required:
            assert f"  {name} = None: missing" in text, name

    def test_an_output_where_a_plain_value_is_needed_is_refused(self, component: Component) -> None:
        field = plain(shape_of(component))
        if field is None:
            pytest.skip("takes outputs everywhere")
        text = refusal(component, lambda: {field.name: pulumi.Output.from_input("x")})
        assert f"  {field.name} = 'an Output': its value is not known" in text

    def test_every_argument_has_a_description_and_every_optional_one_a_default(self, component: Component) -> None:
        for path, field in fields(shape_of(component)):
            assert field.doc, path
            assert field.required == ("Default: " not in field.doc), f"{path}: {field.doc}"


# Values for the required arguments of every component on AWS.
VALID: dict[str, Any] = {
    "addon": "coredns",
    "buckets": {"data": {"bucket": "acme-data"}},
    "cidr": "10.0.0.0/16",
    "cluster": "train",
    "cluster_name": "train",
    "kubernetes_version": "1.35",
    "namespace": "ml",
    "network_id": "vpc-1",
    "node_pools": {"cpu-workers": GUIDE_CPU},
    "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
    "pool": GUIDE_CPU,
    "private_subnet_ids": dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])),
    "region": "us-east-1",
    "security_group_id": "sg-1",
    "service_account": "trainer",
    "subnet_ids": dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])),
    "teams": {"research": {"edit": ["arn:aws:iam::123456789012:role/research"]}},
    "version": "1.35",
    "zone": AWS_ZONES[0],
    "zones": AWS_ZONES,
}
WITH_TAGS = [each for each in LIBRARY if ".aws." in each.__module__ and "tags" in shape_of(each).fields]


@pytest.mark.parametrize("component", WITH_TAGS, ids=lambda each: each.__name__)
def test_a_component_on_aws_checks_its_tags(component: Component) -> None:
    required = {name: VALID[name] for name, each in shape_of(component).fields.items() if each.required}
    text = refusal(component, lambda: {**required, "tags": {"aws:mine": "x", "gpuyard-stack": "dev", "team": "ml"}})
    assert text.startswith(f"{component.__name__} x: one value cannot work")
    assert "tags.aws:mine = 'x': AWS reserves keys" in text


def fields(shape: Shape, path: str = "") -> list[tuple[str, Field]]:
    """Every field of a shape and of those inside it, by its path."""
    found = []
    for name, each in shape.fields.items():
        found.append((f"{path}{name}", each))
        inside, _ = arguments.part(each.hint)
        found += fields(inside, f"{path}{name}.") if inside else []
    return found
