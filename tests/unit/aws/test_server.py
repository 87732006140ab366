"""The AWS server: its state survives a kill, a broken snapshot is set aside and said, wrong requests are refused."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from sandbox import process
from sandbox.aws import server, session, state

pytestmark = pytest.mark.slow


def kill() -> None:
    running = process.alive(server.NAME)
    assert running
    os.kill(running.pid, signal.SIGKILL)
    while process.alive(server.NAME):
        time.sleep(0.05)


def saved(home: Path) -> None:
    """Waits until a change is on disk, as long as a person could notice."""
    time.sleep(state.DEBOUNCE + 0.7)
    assert (home / "aws" / "snapshot.pickle").exists()


def test_a_killed_server_comes_back_with_its_state(aws: Any, home: Path) -> None:
    """References between services too: the restored Auto Scaling group launches into the restored subnet."""
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    template = ec2.create_launch_template(LaunchTemplateName="lt", LaunchTemplateData={"InstanceType": "m5.large"})
    aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="group",
        MinSize=0,
        MaxSize=3,
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"},
        VPCZoneIdentifier=subnet,
    )
    # A look is no change, so it is in the snapshot only when a change follows.
    image = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/standard/recommended/image_id"
    aws("ssm").get_parameter(Name=image)
    aws("ssm").put_parameter(Name="/own", Value="kept", Type="String")
    key = aws("kms").create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    saved(home)
    before = server.health()
    assert before and not before["restored"] and before["note"] == ""
    kill()

    server.start(control_plane=False)

    after = server.health()
    assert after and after["restored"] and after["generation"] == before["generation"]
    signed = aws("kms").sign(KeyId=key, Message=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256")
    assert signed["Signature"]
    assert aws("ssm").get_parameter(Name="/own")["Parameter"]["Value"] == "kept"
    assert aws("ssm").get_parameter(Name=image)["Parameter"]["Value"].startswith("ami-")
    aws("autoscaling").set_desired_capacity(AutoScalingGroupName="group", DesiredCapacity=1)
    found = aws("ec2").describe_instances()["Reservations"][0]["Instances"][0]
    assert (found["SubnetId"], found["State"]["Name"]) == (subnet, "running")


def test_load_balancers_survive_a_kill_with_their_interfaces(aws: Any, home: Path) -> None:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="elb", Description="elb", VpcId=vpc)["GroupId"]
    port = {"Protocol": "TCP", "LoadBalancerPort": 80, "InstancePort": 30080}
    aws("elb").create_load_balancer(
        LoadBalancerName="classic", Listeners=[port], Subnets=[subnet], SecurityGroups=[group]
    )
    made = aws("elbv2").create_load_balancer(Name="network", Type="network", Subnets=[subnet])["LoadBalancers"][0]
    saved(home)
    kill()
    server.start(control_plane=False)
    ec2 = aws("ec2")
    with pytest.raises(botocore.exceptions.ClientError, match="DependencyViolation"):
        ec2.delete_subnet(SubnetId=subnet)
    aws("elb").delete_load_balancer(LoadBalancerName="classic")
    aws("elbv2").delete_load_balancer(LoadBalancerArn=made["LoadBalancerArn"])
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_vpc(VpcId=vpc)


def test_a_stopped_server_saves_what_was_not_saved_yet(aws: Any, home: Path) -> None:
    name = aws("logs").create_log_group(logGroupName="late") and "late"
    process.stop(server.NAME)
    server.start(control_plane=False)
    assert [g["logGroupName"] for g in aws("logs").describe_log_groups()["logGroups"]] == [name]


def test_a_corrupt_snapshot_is_set_aside_and_said(aws: Any, home: Path) -> None:
    before = server.health()
    assert before
    kill()
    (home / "aws" / "snapshot.pickle").write_bytes(b"\x80\x05broken")

    server.start(control_plane=False)

    after = server.health()
    assert after and not after["restored"] and after["generation"] != before["generation"]
    (aside,) = (home / "attic").iterdir()
    assert str(aside) in after["note"] and "starts empty" in after["note"]
    assert aside.read_bytes() == b"\x80\x05broken"
    assert aws("logs").describe_log_groups()["logGroups"] == []


def test_a_second_start_finds_the_running_server(aws: Any) -> None:
    assert server.start(control_plane=False).pid == server.start(control_plane=False).pid


def test_neither_proxy_nor_profile_of_the_person_reach_in(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-does-not-exist")
    monkeypatch.setattr(session, "_session", None)
    monkeypatch.setattr(session, "_clients", {})
    assert session.client("sts", "us-east-1").get_caller_identity()["Account"] == session.ACCOUNT


def raw(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A request that no client library has checked."""
    scope = "Credential=x/20260101/us-east-1/eks/aws4_request, SignedHeaders=host, Signature=x"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.endpoint()}{path}", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/clusters", {"name": "x", "roleArn": "r", "resourcesVpcConfig": {}, "verison": "1"}, "verison"),
        ("/clusters", {"name": "x", "resourcesVpcConfig": {}}, "roleArn"),
        ("/clusters/x/node-groups", {"nodegroupName": "n", "amiType": "AL2", "subnets": [], "nodeRole": "r"}, "AL2"),
        ("/clusters/x/insights", {}, "does not know the operation"),
    ],
)
def test_eks_refuses_what_its_model_does_not_have(aws: Any, path: str, body: dict[str, Any], said: str) -> None:
    status, answer = raw(path, body)
    assert status == 400
    assert said in answer["message"]


def test_the_eks_images_parameters_are_there(aws: Any) -> None:
    path = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/recommended/release_version"
    assert aws("ssm").get_parameter(Name=path)["Parameter"]["Value"].startswith("1.35.")
    with pytest.raises(botocore.exceptions.ClientError, match="ParameterNotFound"):
        aws("ssm").get_parameter(Name=path.replace("1.35", "1.99"))
