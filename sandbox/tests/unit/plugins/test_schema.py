"""The SDKs as schemas: wrong inputs of every package are refused with their path, valid ones pass."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from sandbox.plugins.provider import UNKNOWN
from sandbox.plugins.schema import Schema, UnknownToken
from sandbox.plugins.values import Asset

schema = functools.cache(Schema)

NODE_GROUP = {
    "clusterName": "c",
    "nodeRoleArn": UNKNOWN,
    "subnetIds": ["subnet-1", UNKNOWN],
    "scalingConfig": {"minSize": 0, "maxSize": 10, "desiredSize": 0},
    "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
    "labels": {"gpuyard.dev/pool": "gpu-workers"},
    "tags": None,
}
NODE_POOL = {"cluster": "c", "nodeConfig": {"guestAccelerators": [{"type": "nvidia-l4", "count": 1}]}}


def failures(token: str, props: dict[str, Any]) -> dict[str, str]:
    package = token.split(":")[0]
    return {f.property: f.reason for f in schema(package).check_inputs(token, props)}


@pytest.mark.parametrize(
    ("token", "props"),
    [
        ("aws:eks/nodeGroup:NodeGroup", NODE_GROUP),
        ("aws:ec2/getVpc:getVpc", {"id": "vpc-1", "filters": [{"name": "a", "values": ["b"]}]}),
        ("aws:index/getRegion:getRegion", {}),
        ("aws:eks/getAddonVersion:getAddonVersion", {"addonName": "vpc-cni", "kubernetesVersion": "1.35"}),
        ("gcp:container/nodePool:NodePool", NODE_POOL),
        ("gcp:organizations/getProject:getProject", {}),
        ("gcp:cloudquota/getSQuotaInfo:getSQuotaInfo", {"parent": "p", "quotaId": "q", "service": "s"}),
        ("eks:index:Cluster", {"authenticationMode": "API", "fargate": True, "version": "1.35"}),
        ("kubernetes:helm.sh/v3:Release", {"chart": "c", "values": {"a": [{"b": 1}]}, "compat": "true"}),
        ("kubernetes:helm.sh/v3:Release", {"chart": "c", "valueYamlFiles": [Asset({"text": "a: 1"})]}),
        ("kubernetes:core/v1:Service", {"spec": {"ports": [{"port": 80, "targetPort": "http"}]}}),
        ("kubernetes:core/v1:Service", {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}),
        ("kubernetes:core/v1:ResourceQuota", {"spec": {"hard": {"requests.nvidia.com/gpu": 4}}}),
        ("kubernetes:example.org/v1:Thing", {"apiVersion": "example.org/v1", "kind": "Thing", "spec": {"x": 1}}),
    ],
)
def test_right_inputs_pass(token: str, props: dict[str, Any]) -> None:
    assert failures(token, props) == {}


@pytest.mark.parametrize(
    ("token", "props", "path", "reason"),
    [
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "instance_types": []}, "instance_types", "mean instanceTypes?"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "maxSize": 3}, "maxSize", "this property does not exist"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "subnetIds": None}, "subnetIds", "is required"),
        (
            "aws:eks/nodeGroup:NodeGroup",
            {**NODE_GROUP, "subnetIds": "s"},
            "subnetIds",
            "must be a list, not the string",
        ),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "subnetIds": [1]}, "subnetIds[0]", "must be a string, not"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "diskSize": "50"}, "diskSize", "must be a whole number"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "diskSize": True}, "diskSize", "not the boolean true"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "labels": {"a.b/c": 3}}, 'labels["a.b/c"]', "must be a string"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "labels": ["a"]}, "labels", "must be a map, not the list"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "taints": [{"effect": "x"}]}, "taints[0].key", "is required"),
        ("aws:eks/nodeGroup:NodeGroup", {**NODE_GROUP, "scalingConfig": 3}, "scalingConfig", "must be an object"),
        ("aws:ec2/vpcc:Vpc", {}, "", "has no resource type aws:ec2/vpcc:Vpc; did you mean aws:ec2/vpc:Vpc?"),
        ("aws:ec2/getVpcc:getVpcc", {}, "", "has no function aws:ec2/getVpcc:getVpcc"),
        ("aws:nothing/getVpc:getVpc", {}, "", "has no function"),
        ("aws:ec2/getVpc:getVpc", {"idd": "x"}, "idd", "did you mean id?"),
        ("aws:ec2/getVpc:getVpc", {"filters": [{"name": "a"}]}, "filters[0].values", "is required"),
        ("gcp:container/nodePool:NodePool", {"nodeConfig": {}}, "cluster", "is required"),
        (
            "gcp:container/nodePool:NodePool",
            {"cluster": "c", "nodeConfig": {"guestAccelerators": [{"type": "l4"}]}},
            "nodeConfig.guestAccelerators[0].count",
            "is required",
        ),
        ("eks:index:Cluster", {"authenticationMode": "Api"}, "authenticationMode", "must be one of CONFIG_MAP, API"),
        ("eks:index:Cluster", {"nodeAmi": "x"}, "nodeAmi", "did you mean nodeAmiId?"),
        ("kubernetes:core/v1:Service", {"spec": {"selektor": {}}}, "spec.selektor", "did you mean selector?"),
        ("kubernetes:core/v1:Service", {"spec": {"ports": [{}]}}, "spec.ports[0].port", "is required"),
        ("kubernetes:core/v1:Service", {"kind": "Servce"}, "kind", 'must be "Service"'),
        ("kubernetes:helm.sh/v3:Release", {"chart": "c", "skipAwait": "yes"}, "skipAwait", "must be a boolean"),
        ("kubernetes:helm.sh/v3:Release", {"version": "1"}, "chart", "is required"),
        ("kubernetes:core/v1:Servce", {}, "", "did you mean kubernetes:core/v1:Service?"),
    ],
)
def test_wrong_inputs_are_refused_at_their_path(token: str, props: dict[str, Any], path: str, reason: str) -> None:
    found = failures(token, props)
    assert path in found and reason in found[path], found


def test_every_wrong_property_is_reported_at_once() -> None:
    found = failures("aws:eks/nodeGroup:NodeGroup", {"clustername": "c", "scalingConfig": {"minSize": "0"}})
    assert set(found) == {
        "clustername",
        "clusterName",
        "nodeRoleArn",
        "subnetIds",
        "scalingConfig.minSize",
        "scalingConfig.maxSize",
        "scalingConfig.desiredSize",
    }


def test_outputs_are_known_too() -> None:
    assert {"arn", "resources", "status"} <= schema("aws").shape("aws:eks/nodeGroup:NodeGroup").outputs.keys()
    assert {"name", "region"} <= schema("aws").shape("aws:index/getRegion:getRegion").outputs.keys()
    with pytest.raises(UnknownToken):
        schema("aws").shape("aws:nothing:Nothing")


def test_a_providers_own_inputs_are_sent_as_json_text() -> None:
    props = {"region": "us-east-1", "defaultTags": '{"tags":{"a":"b"}}', "skipMetadataApiCheck": "true", "version": "7"}
    config, found = schema("aws").provider_config({**props, "__internal": {}})
    assert found == []
    assert config == {"region": "us-east-1", "defaultTags": {"tags": {"a": "b"}}, "skipMetadataApiCheck": True}
    _, found = schema("aws").provider_config({"regio": "x", "defaultTags": "{"})
    assert {f.property for f in found} == {"regio", "defaultTags"}
