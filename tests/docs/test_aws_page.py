"""docs/aws.md: the picture and the tables match the stacks; the hand-written parts match the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.validate import ParamValidator

from components.hardware import AWS, find
from pages.picture import __main__ as picture
from pages.picture import aws
from pages.picture.aws import diagram, tables
from pages.picture.aws.facts import Stack
from pages.picture.pages import placed
from recording.stacks import EKS, recorded
from tests.docs import page

pytestmark = pytest.mark.docs

PAGE = page.text("aws.md")
LADDER = {
    "machineTypes": ["p5.48xlarge"],
    "min": 0,
    "max": 3,
    "zones": ["us-east-1a"],
    "interconnect": True,
    "capacity": ["reserved", "spot", "on_demand"],
    "reservation": {"id": "cr-0123456789abcdef0"},
}


def changed(change: Callable[[dict[str, Any]], None], stack: str = "dev") -> Stack:
    """An example with another config."""
    return Stack(stack, page.changed(stack, change))


@pytest.fixture(scope="module")
def ladder() -> Stack:
    """The dev stack with a pool of three capacity types, and one with a capacity block."""

    def change(config: dict[str, Any]) -> None:
        block = {
            **LADDER,
            "capacity": ["reserved"],
            "reservation": {"id": "cr-0123456789abcdef1", "capacityBlock": True},
        }
        config["gpuyard:nodePools"] |= {"train": LADDER, "block": block}
        config["gpuyard:network"]["podsCidr"] = "100.64.0.0/16"

    return changed(change)


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_generated_parts_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    status = picture.main(["--check"])
    assert status == 0, capsys.readouterr().err


def test_a_page_out_of_date_is_reported_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page.check_out_of_date("aws.md", tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- picture: staging -->\n<!-- picture: end -->\n",
        PAGE.replace("<!-- picture: quotas -->", "<!-- quotas -->"),
        PAGE + "<!-- picture: dev -->\n<!-- picture: end -->\n",
    ],
    ids=["unknown", "missing", "twice"],
)
def test_a_page_needs_one_place_for_each_part(text: str) -> None:
    with pytest.raises(ValueError, match=r"docs/aws\.md must have one place"):
        placed(text, aws.parts([Stack("dev", recorded("dev"))]), "docs/aws.md")


# -- the picture ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EKS)
def test_a_picture_is_small_and_its_arrows_have_targets(name: str) -> None:
    page.check_diagram(diagram.mermaid(Stack(name, recorded(name))))


def test_the_picture_shows_what_is_registered(ladder: Stack) -> None:
    text = diagram.mermaid(ladder)
    for group in ladder.made.all("NodeGroup"):
        assert f"<b>{group.inputs['nodeGroupNamePrefix'].rstrip('-')}</b>" in text
    for subnet in ladder.made.all("Subnet"):
        assert f"{subnet.inputs['cidrBlock']}" in text
    for release in ladder.made.all("Release"):
        assert f"<b>{release.inputs['chart']}</b>" in text
    assert "8 × H100<br>32 × EFA<br>0..3 nodes, reserved" in text
    assert "0..3 nodes, capacity block" in text
    for name in ("train_reserved", "train_spot", "train", "block_reserved"):
        assert f"aws_efa_k8s_device_plugin --> {name}\n" in text
    assert "aws_efa_k8s_device_plugin --> gpu_workers_spot" not in text
    assert "dcgm_exporter --> gpu_workers_spot\n" in text and "dcgm_exporter --> cpu_workers" not in text


def test_the_picture_follows_nat_and_the_endpoint() -> None:
    def private(config: dict[str, Any]) -> None:
        config["gpuyard:network"]["nat"] = "per_zone"
        del config["gpuyard:cluster"]["publicAccessCidrs"]

    per_zone, single = diagram.mermaid(changed(private)), diagram.mermaid(Stack("dev", recorded("dev")))
    for zone in ("a", "b"):
        assert f"private_us_east_1{zone} --> public_us_east_1{zone}\n" in per_zone
        assert f"private_us_east_1{zone} --> public_us_east_1a\n" in single
    assert 'people -->|"inside the VPC"| api' in per_zone
    assert 'people -->|"from 0.0.0.0/0"| api' in single


# -- the tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EKS)
def test_every_role_is_in_the_table(name: str) -> None:
    stack = Stack(name, recorded(name))
    table = tables.identity([stack])
    for role in stack.made.all("aws:iam/role:Role"):
        assert f"| `{role.name}` |" in table
    for attachment in stack.made.all("RolePolicyAttachment"):
        assert attachment.inputs["policyArn"].rpartition("/")[2] in table
    assert stack.cluster.inputs["name"] not in table and "123456789012" not in table


def test_a_role_without_a_reason_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(tables.REASONS, "ebs-csi-controller-sa")
    with pytest.raises(KeyError, match=r"role storage-ebs-csi-role: write in .*why ebs-csi-controller-sa has it"):
        tables.identity([Stack("dev", recorded("dev"))])


def test_a_role_that_differs_between_stacks_is_listed_separately() -> None:
    def change(config: dict[str, Any]) -> None:
        config["gpuyard:network"]["flowLogDays"] = 7

    table = tables.identity([Stack("dev", recorded("dev")), Stack("guide", changed(change, "guide").made)])
    (line,) = [line for line in table.splitlines() if "vpc-flow-logs.amazonaws.com" in line]
    assert line.startswith("| `network-flow-log` (guide) |")
    assert "logs: CreateLogStream" in line and "`log group /aws/vpc/CLUSTER/flow-log`" in line
    assert "| `cluster-nodes` |" in table


def test_conditions_and_denials_are_shown() -> None:
    shown = tables._statement(
        {
            "Effect": "Deny",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": "*",
            "Condition": {"StringLike": {"s3:prefix": ["a/*", "b/*"]}},
        }
    )
    assert shown == "not s3: GetObject, ListBucket on `*` where `s3:prefix` is `a/*`, `b/*`"


def test_quotas_count_every_capacity_type_at_its_maximum(ladder: Stack) -> None:
    table = tables.quotas([ladder])
    found = {code: cell for code, cell in re.findall(r"`(L-\w+)` \| \*\*([\d,]+)\*\*", table)}
    machine = find(AWS, "p5.48xlarge")
    assert machine and machine.vcpu == 192
    # Reserved and on-demand nodes share a quota; P5 spot has a separate one; capacity blocks count in neither.
    assert found == {"L-1216C47A": "160", "L-3819A6DF": "80", "L-417A185B": "1,152", "L-C4BD4855": "576"}
    assert "train-reserved 3 × 192<br>train 3 × 192" in table and "block" not in table


def test_a_quota_without_a_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(tables.QUOTAS, "L-3819A6DF")
    with pytest.raises(KeyError, match=r"L-3819A6DF into pages/picture/aws/tables.py"):
        tables.quotas([Stack("dev", recorded("dev"))])


def test_the_table_of_examples_shows_capacity_and_gpus(ladder: Stack) -> None:
    table = tables.examples([ladder])
    assert "**train**: p5.48xlarge (8 × H100, 32 × EFA), 0..3, reserved, then spot, then on demand" in table
    assert "**block**: p5.48xlarge (8 × H100, 32 × EFA), 0..3, capacity block" in table
    assert "10 in gpu-workers" in table and "72 in train" in table
    assert "10.0.0.0/16; pods 100.64.0.0/16" in table


# -- what is written by hand ------------------------------------------------------------------------------------------


def test_the_yaml_examples_are_accepted() -> None:
    for found in page.manifests(PAGE):
        if "config" in found:
            page.parse("dev", found["config"])


def test_aws_commands_are_valid() -> None:
    """Service, operation and parameters, against AWS's own API models."""
    shown = [line for line in page.commands(PAGE) if line[0] == "aws"]
    assert shown
    for _, service, command, *options in shown:
        client = boto3.client(service, region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-")
        operation = client.meta.method_to_api_mapping[command.replace("-", "_")]
        shape = client.meta.service_model.operation_model(operation).input_shape
        params = _params(shape, options)
        report = ParamValidator().validate(params, shape)
        assert not report.has_errors(), report.generate_report()


def _params(shape: Any, options: list[str]) -> dict[str, Any]:
    names = {"--" + re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(): name for name in shape.members}
    params: dict[str, Any] = {}
    for option in [each for each in options if each.startswith("--") and each != "--query"]:
        start = options.index(option) + 1
        values = [*iter(options[start:])]
        stop = next((index for index, each in enumerate(values) if each.startswith("--")), len(values))
        name = names[option]
        kind = shape.members[name].type_name
        given = (
            [dict(pair.split("=") for pair in each.split(",")) for each in values[:stop]]
            if kind == "list"
            else values[0]
        )
        if kind == "list":
            params[name] = [{"Name": each["Name"], "Values": [each["Values"]]} for each in given]
        else:
            params[name] = float(given) if kind in ("double", "integer") else given
    return params


def test_other_commands_name_keys_and_verbs_that_exist() -> None:
    others = [line for line in page.commands(PAGE) if line[0] != "aws"]
    for line in others:
        kubectl = (["kubectl", "apply"], ["kubectl", "logs"])
        assert line[:2] in (["pulumi", "up"], ["pulumi", "destroy"], ["pulumi", "config"], *kubectl), line
        if line[1] == "config":
            page.parse("dev", {line[3]: yaml.safe_load(line[4])})


def test_the_pod_that_lists_its_gpus_is_unprivileged() -> None:
    """field case A0: it can run on a GPU node of any pool, requests one GPU, and asks for all GPUs in the variable that
    CUDA images set."""
    (pod,) = [found for found in page.manifests(PAGE) if found.get("metadata", {}).get("name") == "gpus"]
    one, none = pod["spec"]["containers"]
    assert one["resources"]["limits"] == {"nvidia.com/gpu": 1} and "resources" not in none
    for container in (one, none):
        assert container["env"] == [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert pod["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_the_page_lists_every_protected_resource() -> None:
    def change(config: dict[str, Any]) -> None:
        config["gpuyard:deletionProtection"] = True
        config["gpuyard:storage"] = {"lustre": {"zone": "us-east-1a"}}

    made = changed(change).made
    # pulumi-eks passes its protection to its children.
    inside = made.children(made.one("eks:index:Cluster"))
    kept = page.protected(made) - {found.name for found in inside}
    named = {
        "network-vpc": "VPC",
        "cluster-eks": "cluster",
        "cleanup-contents": "its contents",
        "cluster-logs": "its log",
        "storage-shared": "EFS",
        "lustre-files": "Lustre",
    }
    assert kept == set(named)
    words = list(named.values())
    assert f"protects {', '.join(words[:-1])} and {words[-1]}:" in PAGE


def test_the_page_shows_the_order_of_a_destroy() -> None:
    """Users' objects, Helm releases, then storage and the add-ons that run on nodes, node pools, cluster, network."""
    made = recorded("dev")
    cluster, groups, releases = made.one("aws:eks/cluster:Cluster"), made.all("NodeGroup"), made.all("Release")
    on_nodes = [made.one("aws:eks/addon:Addon", name) for name in ("coredns", "metrics-server", "storage-ebs-csi")]
    page.outlive(made, groups, made.all("ClusterContents"))
    page.outlive(made, [made.one("aws:eks/addon:Addon", "storage-ebs-csi")], made.all("ClusterContents"))
    for release in releases:
        assert any(made.must_outlive(group, release) for group in groups)
    page.outlive(
        made, [made.one("NodeGroup", "cpu-workers-us-east-1a")], [*on_nodes, made.one("StorageClass", "storage-shared")]
    )
    page.outlive(made, [cluster], groups)
    # A node that is drained still needs its route to the internet.
    page.outlive(made, made.all("NatGateway"), groups)
    page.outlive(made, made.all("Vpc"), [cluster])
