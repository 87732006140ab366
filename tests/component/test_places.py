"""Regions, zones and locations of both clouds that have the wrong form are refused by the component that gets them."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws.cluster import EksCluster
from components.aws.network import AwsNetwork
from recording.recorder import run
from tests.component import test_gcp_arguments
from tests.component.stage import AWS_ZONES, aws_options
from tests.component.test_arguments_of_every_component import LIBRARY, VALID, refusal, shape_of

AWS = {each.__name__: each for each in LIBRARY if ".aws." in each.__module__}
GCP = {each.__name__: each for each in test_gcp_arguments.GIVEN}


@pytest.mark.parametrize("name", [name for name, each in AWS.items() if "region" in shape_of(each).fields])
@pytest.mark.parametrize(
    ("region", "words"), [("us-east", "not the name of a region"), ("us-east-1a", "write us-east-1"), ("US-EAST-1", "")]
)
def test_a_region_of_aws(name: str, region: str, words: str) -> None:
    required = {field: VALID[field] for field, each in shape_of(AWS[name]).fields.items() if each.required}
    text = refusal(AWS[name], lambda: {**required, "region": region})
    assert f"  region = '{region}': " in text and words in text


@pytest.mark.parametrize("name", [name for name, each in AWS.items() if "subnet_ids" in shape_of(each).fields])
@pytest.mark.parametrize("zone", ["us-east-1", "a", "us-east-1-a", "use1-az1"])
def test_zones_of_subnets_on_aws(name: str, zone: str) -> None:
    required = {field: VALID[field] for field, each in shape_of(AWS[name]).fields.items() if each.required}
    text = refusal(AWS[name], lambda: {**required, "subnet_ids": {**VALID["subnet_ids"], zone: "subnet-3"}})
    assert f"  subnet_ids.{zone} = '{zone}': the key is not the name of a zone" in text


@pytest.mark.parametrize("name", [name for name, each in AWS.items() if "subnet_ids" in shape_of(each).fields])
def test_an_empty_id_of_a_subnet(name: str) -> None:
    required = {field: VALID[field] for field, each in shape_of(AWS[name]).fields.items() if each.required}
    text = refusal(AWS[name], lambda: {**required, "subnet_ids": {**VALID["subnet_ids"], AWS_ZONES[0]: ""}})
    assert f"  subnet_ids.{AWS_ZONES[0]} = '': empty" in text


@pytest.mark.parametrize("name", [name for name, each in AWS.items() if "subnet_ids" in shape_of(each).fields])
@pytest.mark.parametrize(
    ("zone", "subnet", "words"),
    [("us-west-2a", "subnet-9", "not a zone of us-east-1"), ("us-east-1f", "subnet-1", "the subnet of us-east-1a")],
)
def test_subnets_of_one_region_each_in_one_zone(name: str, zone: str, subnet: str, words: str) -> None:
    required = {field: VALID[field] for field, each in shape_of(AWS[name]).fields.items() if each.required}
    text = refusal(AWS[name], lambda: {**required, "subnet_ids": {AWS_ZONES[0]: "subnet-1", zone: subnet}})
    assert f"  subnet_ids.{zone} = " in text and words in text


@pytest.mark.parametrize("field", ["private_subnet_ids", "public_subnet_ids"])
def test_zones_of_a_cluster_on_aws(field: str) -> None:
    required = {each: VALID[each] for each, declared in shape_of(EksCluster).fields.items() if declared.required}
    subnets = {"us-east-1a": "subnet-1", "us-east-1b": "subnet-2", "mars": "subnet-3"}
    assert f"  {field}.mars = 'mars': the key" in refusal(EksCluster, lambda: {**required, field: subnets})


def test_a_region_in_place_of_zones_on_aws() -> None:
    def program() -> None:
        args: Any = {"cidr": "10.0.0.0/16", "zones": ["us-east-1", "us-east-1b"], "cluster_name": "train"}
        AwsNetwork("net", args, aws_options())

    with pytest.raises(pulumi.RunError, match=r"one value(.|\n)*zones\[0\] = 'us-east-1': not an availability zone of"):
        run(program)


@pytest.mark.parametrize("name", [name for name, each in GCP.items() if "region" in shape_of(each).fields])
@pytest.mark.parametrize(("region", "words"), [("us-central", "not the name"), ("us-central1-a", "write us-central1")])
def test_a_region_of_google(name: str, region: str, words: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        test_gcp_arguments.make(GCP[name], region=region)
    assert "one value" in str(caught.value) and f"  region = '{region}': " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", [name for name, each in GCP.items() if "zones" in shape_of(each).fields])
@pytest.mark.parametrize("zone", ["us-central1-z9", "us-central1-z", "us-east1-b"])
def test_zones_of_google(name: str, zone: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        test_gcp_arguments.make(GCP[name], zones=["us-central1-a", zone])
    assert f"  zones[1] = '{zone}': " in str(caught.value)


@pytest.mark.parametrize("name", [name for name, each in GCP.items() if "location" in shape_of(each).fields])
@pytest.mark.parametrize("location", ["us-central1-z9", "us-central", "europe-west4"])
def test_a_location_of_google(name: str, location: str) -> None:
    with pytest.raises(pulumi.RunError, match=rf"one value(.|\n)*  location = '{location}': neither the region"):
        test_gcp_arguments.make(GCP[name], location=location)
