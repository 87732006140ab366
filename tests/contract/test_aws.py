"""The AWS resources of the stacks against AWS's own API models, without a server: shapes, enums, patterns, limits."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator
from moto.iam.aws_managed_policies import aws_managed_policies_data
from parliament import analyze_policy_string

from recording.recording import Recording, Resource
from recording.stacks import EKS, record, recorded, settings
from sandbox.aws import session
from sandbox.aws.provider import AwsProvider, calls

# Values that EC2 accepts although the model's enum, which is as old as botocore's release, does not list them.
OPEN_ENUMS = {"InstanceType"}
# Kubernetes has a kind of this name as well.
ROLE = "aws:iam/role:Role"


def provider() -> AwsProvider:
    made = AwsProvider()
    made.configure({"region": "us-east-1"})
    return made


def aws_resources(made: Recording) -> list[Resource]:
    """The resources of the recording that the aws provider manages, sorted by name."""
    return sorted((found for found in made.resources.values() if found.package == "aws"), key=str)


def refusals(resource: Resource, inputs: dict[str, Any] | None = None) -> list[str]:
    """The reasons for which the sandbox's provider refuses these inputs."""
    _, failures = provider().check(resource.type, resource.urn, {}, inputs or resource.inputs, b"seed")
    return [f"{resource} {failure.property}: {failure.reason}" for failure in failures]


def requests(resource: Resource) -> list[tuple[str, str, dict[str, Any]]]:
    """(service, operation, parameters) of the calls that create the resource."""
    inputs, _ = provider().check(resource.type, resource.urn, {}, resource.inputs, b"seed")
    return calls(resource.type, inputs)


def wrong(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Values that the service would refuse although botocore's validator accepts them: enums, patterns, lengths."""
    kind = shape.type_name
    if kind == "structure":
        for key, item in value.items():
            yield from wrong(shape.members[key], item, f"{path}.{key}")  # type: ignore[attr-defined]
    elif kind == "list":
        for index, item in enumerate(value):
            yield from wrong(shape.member, item, f"{path}[{index}]")  # type: ignore[attr-defined]
    elif kind == "map":
        for key, item in value.items():
            yield from wrong(shape.key, key, f"{path}.{key} (the key)")  # type: ignore[attr-defined]
            yield from wrong(shape.value, item, f"{path}.{key}")  # type: ignore[attr-defined]
    elif kind == "string":
        enum: list[str] = getattr(shape, "enum", [])
        rules: Any = shape.metadata
        if enum and value not in enum and shape.name not in OPEN_ENUMS:
            yield f"{path} = {value!r}: not one of {', '.join(enum)}"
        if "pattern" in rules and not re.fullmatch(_python(rules["pattern"]), value):
            yield f"{path} = {value!r}: does not match {rules['pattern']}"
        if "max" in rules and len(value) > rules["max"]:
            yield f"{path}: longer than {rules['max']}"
    elif kind in ("integer", "long"):
        limits: Any = shape.metadata
        low, high = limits.get("min"), limits.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            yield f"{path} = {value}: outside {low}..{high}"


def _python(pattern: str) -> str:
    """AWS writes patterns for Java; those used here differ only in Unicode classes and surrogate pairs."""
    spelled = {
        r"\p{L}": r"\w",
        r"\p{Z}": r"\s",
        r"\p{N}": r"\d",
        r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",
    }
    for java, python in spelled.items():
        pattern = pattern.replace(java, python)
    return pattern


EFA_ZONE = {"zones": ["us-east-1a"], "interconnect": True}
RESERVED = {"capacity": ["reserved"], "reservation": {"id": "cr-0123456789abcdef0"}}
POOLS: dict[str, dict[str, Any]] = {
    **{
        name: {"machineTypes": [name], **EFA_ZONE}
        for name in (
            *("p4d.24xlarge", "p5.48xlarge", "p5en.48xlarge", "p6-b200.48xlarge", "p6-b300.48xlarge"),
            *("g6e.24xlarge", "g6e.48xlarge"),
        )
    },
    "reservation": {"machineTypes": ["g6.2xlarge"], "zones": ["us-east-1a"], **RESERVED},
    "capacity-block": {
        "machineTypes": ["p5.48xlarge"],
        **EFA_ZONE,
        "capacity": ["reserved"],
        "reservation": {"id": "cr-0123456789abcdef0", "capacityBlock": True},
    },
    "bottlerocket": {"machineTypes": ["g5g.2xlarge"], "image": "bottlerocket"},
}


@functools.cache
def described(case: str) -> list[Resource]:
    """All resources of a stack of the repository, or those that another pool adds to the development stack."""
    if case in EKS:
        return aws_resources(recorded(case))
    config = settings("dev")
    config["gpuyard:nodePools"]["train"] = {"min": 0, "max": 4, **POOLS[case]}
    found = [found for found in aws_resources(record(config, "dev")) if found.name.startswith("train")]
    assert {"NodeGroup", "LaunchTemplate"} <= {each.type.rpartition(":")[2] for each in found}
    return found


@pytest.mark.parametrize("case", [*EKS, *POOLS])
def test_the_provider_accepts_every_resource_of_the_stack(case: str) -> None:
    """seed rows S01 and S06"""
    assert [reason for found in described(case) for reason in refusals(found)] == []


@pytest.mark.parametrize("case", [*EKS, *POOLS])
def test_every_call_matches_the_api_model_of_aws(case: str) -> None:
    """seed rows S01 and S06"""
    found: list[str] = []
    for resource in described(case):
        for service, operation, params in requests(resource):
            shape = session.service_model(service).operation_model(operation).input_shape
            assert shape is not None
            report = ParamValidator().validate(params, shape)
            found += [f"{resource} {operation}: {report.generate_report()}"] if report.has_errors() else []
            found += [] if report.has_errors() else [f"{resource} {bad}" for bad in wrong(shape, params, operation)]
    assert found == []


def test_every_resource_has_a_call_to_check() -> None:
    """Otherwise the checks above would pass without any call."""
    silent = [str(found) for found in aws_resources(recorded("dev")) if not requests(found)]
    assert silent == []


@pytest.mark.parametrize(
    ("type", "change", "words"),
    [
        ("NodeGroup", {"capacityType": "SPOTTY"}, "SPOTTY"),
        ("NodeGroup", {"amiType": "AL2023_NVIDIA"}, "AL2023_NVIDIA"),
        ("NodeGroup", {"taints": [{"key": "a", "effect": "NoSchedule"}]}, "NoSchedule"),
        ("NodeGroup", {"instanceType": "m5.large"}, "instanceType"),
        ("NodeGroup", {"scalingConfig": {"minSize": "two", "maxSize": 1, "desiredSize": 1}}, "scalingConfig.minSize"),
        ("aws:eks/cluster:Cluster", {"roleArn": None}, "roleArn"),
        ("FileSystem", {"throughputMode": "fast"}, "fast"),
        ("LaunchTemplate", {"metadataOptions": {"httpTokens": "always"}}, "always"),
        ("Vpc", {"cidr": "10.0.0.0/16"}, "cidr"),
    ],
)
def test_a_wrong_input_is_refused_before_any_call(type: str, change: dict[str, Any], words: str) -> None:
    """Proves that each of the checks can refuse something."""
    resource = recorded("dev").all(type)[0]
    inputs = {key: value for key, value in {**resource.inputs, **change}.items() if value is not None}
    reasons = refusals(resource, inputs)
    assert reasons and words in " ".join(reasons), reasons


# -- permissions -------------------------------------------------------------------------------------------------------


def trust_policies(made: Recording) -> dict[str, list[dict[str, Any]]]:
    """Role name → statements of its trust policy."""
    return {found.name: json.loads(found.inputs["assumeRolePolicy"])["Statement"] for found in made.all(ROLE)}


@pytest.mark.parametrize("stack", EKS)
def test_inline_policies_pass_the_linter(stack: str) -> None:
    """seed row S04: actions exist, resources match them, nothing is granted by accident."""
    documents = [found.inputs["policy"] for found in recorded(stack).all("RolePolicy")]
    assert documents
    findings = [str(finding) for text in documents for finding in analyze_policy_string(text).findings]
    assert findings == []


def test_the_linter_finds_an_action_that_does_not_exist() -> None:
    bad = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["eks:Fly"], "Resource": "*"}]}
    assert analyze_policy_string(json.dumps(bad)).findings


@pytest.mark.parametrize("stack", EKS)
def test_only_aws_services_assume_roles_and_pods_only_with_their_service_account(stack: str) -> None:
    """No trust policy has a wildcard, and a pod's role is for one service account of this cluster."""
    made = recorded(stack)
    for role, statements in trust_policies(made).items():
        for statement in statements:
            services = statement["Principal"]["Service"]
            services = services if isinstance(services, list) else [services]
            assert set(statement["Principal"]) == {"Service"}, role
            own = {"eks.amazonaws.com", "ec2.amazonaws.com", "pods.eks.amazonaws.com", "vpc-flow-logs.amazonaws.com"}
            assert set(services) <= own, role
            if "vpc-flow-logs.amazonaws.com" in services:
                assert statement["Condition"]["StringEquals"]["aws:SourceAccount"], role
            if "pods.eks.amazonaws.com" in services:
                equals = statement["Condition"]["StringEquals"]
                # By ARN, because clusters in other accounts or regions can have the same name.
                arn = f"arn:aws:eks:us-east-1:123456789012:cluster/{made.exports['clusterName']}"
                assert equals["aws:RequestTag/eks-cluster-arn"] == arn, role
                assert equals["aws:RequestTag/kubernetes-namespace"], role
                assert equals["aws:RequestTag/kubernetes-service-account"], role


@pytest.mark.parametrize("stack", EKS)
def test_pod_identities_match_the_trust_policies_of_their_roles(stack: str) -> None:
    """If the role does not trust the service account, the pod fails only when it starts."""
    made = recorded(stack)
    by_arn = {
        found.outputs["arn"]: json.loads(found.inputs["assumeRolePolicy"])["Statement"][0] for found in made.all(ROLE)
    }
    associations = [(f.inputs["roleArn"], f.inputs["serviceAccount"]) for f in made.all("PodIdentityAssociation")]
    for addon in made.all("aws:eks/addon:Addon"):
        associations += [(a["roleArn"], a["serviceAccount"]) for a in addon.inputs.get("podIdentityAssociations") or []]
    assert len(associations) >= 4
    for arn, account in associations:
        assert by_arn[arn]["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == account


@pytest.mark.parametrize("stack", EKS)
def test_attached_managed_policies_exist(stack: str) -> None:
    policies = json.loads(aws_managed_policies_data)
    known = {f"arn:aws:iam::aws:policy{found['Path']}{name}" for name, found in policies.items()}
    attached = {found.inputs["policyArn"] for found in recorded(stack).all("RolePolicyAttachment")}
    assert attached and attached <= known


@pytest.mark.parametrize("stack", EKS)
def test_no_security_group_is_open_to_the_internet(stack: str) -> None:
    """Only the networks of the endpoint are configurable; no rule of a security group is open."""
    made = recorded(stack)
    opened = [
        str(found)
        for found in (*made.all("SecurityGroupRule"), *made.all("SecurityGroupIngressRule"))
        if found.inputs.get("type", "ingress") == "ingress"
        and "0.0.0.0/0" in (found.inputs.get("cidrIpv4"), *(found.inputs.get("cidrBlocks") or []))
    ]
    assert opened == []


@pytest.mark.parametrize("stack", EKS)
def test_tags_are_valid_for_aws(stack: str) -> None:
    for found in aws_resources(recorded(stack)):
        for key, value in (found.inputs.get("tags") or {}).items():
            assert len(key) <= 128 and len(value) <= 256 and not key.startswith("aws:"), (found, key)
