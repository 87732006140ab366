"""The AWS server: its state survives a kill, a broken snapshot is set aside and reported, bad requests are refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox import process
from sandbox.aws import server, session, state
from sandbox.aws.access_key import AccessKey, access_key
from sandbox.aws.disks import Disks
from sandbox.aws.gate import SERVICES
from sandbox.aws.rows import rows
from sandbox.cluster.registry import cloud_of
from sandbox.tests.unit.aws.conftest import REGION

pytestmark = pytest.mark.slow


def kill() -> None:
    running = process.alive(server.NAME)
    assert running
    os.kill(running.pid, signal.SIGKILL)
    while process.alive(server.NAME):
        time.sleep(0.05)


def saved(home: Path) -> None:
    """Waits until a change is on disk."""
    time.sleep(state.LONGEST + 0.7)
    assert (home / "aws" / "snapshot.pickle").exists()


def test_a_killed_server_restores_its_state(aws: Any, home: Path) -> None:
    """Also references between services: the restored Auto Scaling group launches into the restored subnet."""
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
    # A read is not a change, so it is in the snapshot only when a change follows.
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


def test_built_in_objects_of_aws_are_not_saved_but_exist_after_a_restart(aws: Any, home: Path) -> None:
    """AWS's own policies, attached or not, and its machine images with their snapshots."""

    def of_aws() -> tuple[Any, ...]:
        policies = aws("iam").get_paginator("list_policies").paginate(Scope="AWS")
        images = aws("ec2").describe_images(Owners=["amazon"])["Images"]
        return (
            {each["Arn"]: each["AttachmentCount"] for page in policies for each in page["Policies"]},
            {
                image["ImageId"]: [each["Ebs"]["SnapshotId"] for each in image["BlockDeviceMappings"] if "Ebs" in each]
                for image in images
            },
            {each["SnapshotId"] for each in aws("ec2").describe_snapshots()["Snapshots"]},
        )

    worker = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
    for role in ("nodes", "others"):
        aws("iam").create_role(RoleName=role, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        aws("iam").attach_role_policy(RoleName=role, PolicyArn=worker)
    volume = aws("ec2").create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    own = aws("ec2").create_snapshot(VolumeId=volume)["SnapshotId"]
    gone = aws("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    aws("ec2").deregister_image(ImageId=gone)
    source = {"SourceImageId": next(iter(of_aws()[1])), "SourceRegion": "us-east-1"}
    copy = aws("ec2").copy_image(**source, Name="copy")["ImageId"]
    before = of_aws()
    policies, images, snapshots = before
    assert policies[worker] == 2 and len(policies) > 1000 and len(images) > 10 and gone not in images
    assert {id for held in images.values() for id in held} < snapshots
    saved(home)
    assert (home / "aws" / "snapshot.pickle").stat().st_size < 1_000_000
    kill()
    server.start(control_plane=False)
    assert of_aws() == before
    assert aws("ec2").describe_images(ImageIds=[copy])["Images"][0]["Name"] == "copy"
    assert aws("ec2").describe_snapshots(SnapshotIds=[own])["Snapshots"][0]["VolumeId"] == volume
    (attached,) = aws("iam").list_attached_role_policies(RoleName="nodes")["AttachedPolicies"]
    assert attached["PolicyArn"] == worker
    aws("iam").detach_role_policy(RoleName="nodes", PolicyArn=worker)
    assert of_aws()[0][worker] == 1


def test_reading_saves_no_snapshot(aws: Any, home: Path) -> None:
    """Each protocol: the query protocol of EC2, IAM and Auto Scaling, JSON, and REST."""

    def look() -> None:
        aws("ec2").describe_instances()
        aws("iam").list_roles()
        aws("autoscaling").describe_auto_scaling_groups()
        aws("kms").list_keys()
        aws("logs").describe_log_groups()
        aws("eks").list_clusters()

    aws("logs").create_log_group(logGroupName="look")
    look()  # the first request in a region creates its default VPC, which must remain
    saved(home)
    before = (home / "aws" / "snapshot.pickle").stat().st_mtime_ns
    look()
    saved(home)
    assert (home / "aws" / "snapshot.pickle").stat().st_mtime_ns == before
    aws("ec2").create_vpc(CidrBlock="10.9.0.0/16")
    saved(home)
    assert (home / "aws" / "snapshot.pickle").stat().st_mtime_ns != before


def test_controllers_find_a_server_that_restarted_on_another_port(aws: Any, home: Path) -> None:
    """A controller outlives the server. It used to keep calling the old port, so new machines never became nodes."""
    key, disks = f"eks-{REGION}-train", Disks(REGION, "train")
    cloud = cloud_of(key)

    def look() -> int | None:
        for ask in (cloud.csi_drivers, cloud.runs_snapshot_controller):
            with pytest.raises(botocore.exceptions.ClientError, match="ResourceNotFound"):
                ask()
        disks.remove("vol-0123456789abcdef0")
        running = process.alive(server.NAME)
        return running and running.port

    before = look()
    kill()
    server.start(control_plane=False)
    assert look() != before


def test_load_balancers_keep_their_interfaces_after_a_restart(aws: Any, home: Path) -> None:
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


def test_a_stopped_server_saves_pending_changes(aws: Any, home: Path) -> None:
    name = aws("logs").create_log_group(logGroupName="late") and "late"
    process.stop(server.NAME)
    server.start(control_plane=False)
    assert name in [group["logGroupName"] for group in aws("logs").describe_log_groups()["logGroups"]]


def test_a_corrupt_snapshot_is_set_aside_and_reported(aws: Any, home: Path) -> None:
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


def test_the_users_proxy_and_profile_have_no_effect(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "a-profile-that-does-not-exist")
    monkeypatch.setattr(session, "_session", None)
    monkeypatch.setattr(session, "_clients", {})
    assert session.client("sts", "us-east-1").get_caller_identity()["Account"] == session.ACCOUNT


def raw(path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """A request that no client library has checked."""
    request = signed("POST", path, "eks", json.dumps(body).encode(), {"Content-Type": "application/json"})
    status, answer = send(request)
    return status, json.loads(answer)


def signed(
    method: str, path: str, service: str, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({}),
    key: AccessKey | None = None,
) -> AWSRequest:  # fmt: skip
    """A request with the signature that an SDK would add."""
    key = key or access_key()
    request = AWSRequest(method, f"{server.endpoint()}{path}", dict(headers), body)
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    kind(Credentials(key.id, key.secret), service, "us-east-1").add_auth(request)
    return request


def send(request: AWSRequest, **more: str) -> tuple[int, bytes]:
    """Sends it with these headers added or changed."""
    headers = {**dict(request.headers.items()), **more}
    wire = urllib.request.Request(str(request.url), request.data or None, headers, method=request.method)
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(wire) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


LIST = b"Action=GetCallerIdentity&Version=2011-06-15"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_the_signature_of_every_sdk_is_accepted(aws: Any) -> None:
    """Also for S3, whose paths are signed unchanged, with characters that others would escape twice."""
    assert aws("sts").get_caller_identity()["Account"] == session.ACCOUNT
    s3 = aws("s3")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="a b/ü+(1)~.txt", Body=b"x" * 70000, Metadata={"By": "  two  blanks "})
    assert s3.get_object(Bucket="models", Key="a b/ü+(1)~.txt")["ContentLength"] == 70000
    assert aws("ec2").describe_vpcs(Filters=[{"Name": "tag:a b", "Values": ["ü", "x*"]}])["Vpcs"] == []
    assert send(signed("POST", "/", "sts", LIST, FORM))[0] == 200


def test_requests_from_web_pages_are_refused(aws: Any) -> None:
    """Security case C1: a page in a browser, by a port scan or by its own host name that resolves to loopback."""
    good = signed("POST", "/", "sts", LIST, FORM)
    for more in ({"Origin": "https://evil.example"}, {"Origin": "null"}):
        status, output = send(good, **more)
        assert status == 403 and b"web pages" in output
    for host in ("evil.example:80", "127.0.0.1.evil.example", "192.168.0.7", "localhost.evil.example"):
        status, output = send(good, Host=host)
        assert status == 403 and b"127.0.0.1" in output
    preflight = urllib.request.Request(
        f"{server.endpoint()}/", method="OPTIONS", headers={"Origin": "https://x.example"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(preflight)
    assert not [name for name in refused.value.headers if name.lower().startswith("access-control")]


def test_a_request_without_the_key_is_refused(aws: Any) -> None:
    """Security case C1: any user of the machine could use the port, with any key."""
    key = access_key()
    other = AccessKey("AKIA" + "X" * 16, key.secret)
    assert b"InvalidClientTokenId" in send(signed("POST", "/", "sts", LIST, FORM, other))[1]
    guessed = AccessKey(key.id, "wrong")
    assert b"SignatureDoesNotMatch" in send(signed("POST", "/", "sts", LIST, FORM, guessed))[1]
    unsigned = AWSRequest("POST", f"{server.endpoint()}/", dict(FORM), LIST)
    status, output = send(unsigned)
    assert status == 403 and b"MissingAuthenticationToken" in output
    changed = signed("POST", "/", "sts", LIST, FORM)
    changed.data = LIST.replace(b"Get", b"Set")
    assert send(changed)[0] == 403
    health = urllib.request.Request(f"{server.endpoint()}/sandbox/health")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(health)
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidClientTokenId"):
        boto3.client("ec2", "us-east-1", endpoint_url=server.endpoint(), **credentials(other)).describe_vpcs()
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidClientTokenId"):
        boto3.client("eks", "us-east-1", endpoint_url=server.endpoint(), **credentials(other)).list_clusters()


def credentials(key: AccessKey) -> dict[str, str]:
    return {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret}


def test_the_key_of_an_assumed_role_is_accepted(aws: Any) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = aws("iam").create_role(RoleName="deployer", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    given = aws("sts").assume_role(RoleArn=arn, RoleSessionName="deploy")["Credentials"]
    assumed = AccessKey(given["AccessKeyId"], given["SecretAccessKey"])
    client = boto3.client("sts", "us-east-1", endpoint_url=server.endpoint(), **credentials(assumed))
    assert "assumed-role/deployer" in client.get_caller_identity()["Arn"]


@pytest.mark.parametrize("service", ["batch", "lambda", "ecs", "codebuild", "cloudformation", "dynamodb", "sts-x"])
def test_unused_services_are_not_served(aws: Any, service: str) -> None:
    """Security case C1: moto's Batch and Lambda start containers, including privileged ones with the machine's disk."""
    status, output = send(
        signed("POST", "/v1/registerjobdefinition", service, b"{}", {"Content-Type": "application/json"})
    )
    assert status == 403 and b"does not simulate" in output


@pytest.mark.parametrize("path", ["/moto-api/reset", "/moto-api/data.json", "/%6doto-api/", "/latest/meta-data/iam/"])
def test_the_control_pages_of_moto_are_closed_to_the_owner_as_well(aws: Any, path: str) -> None:
    assert send(signed("POST", path, "s3"))[0] == 403


def test_every_service_of_the_rows_is_served() -> None:
    used = {row.service for row in rows().values()} | {"sts", "ssm", "elb", "elbv2"}
    assert {session.service_model(service).signing_name for service in used} == SERVICES


def test_moto_finds_no_docker() -> None:
    """Security case C1: neither the user's DOCKER_HOST nor the usual socket is used."""
    probe = (
        "import os, sandbox.aws.moto_server as s\n"
        "s.serve = lambda port: print({k: v for k, v in os.environ.items() if k.startswith('DOCKER')})\n"
        "s.main(['--port', '1'])"
    )
    env = {**os.environ, "DOCKER_HOST": "tcp://10.0.0.1:2375", "DOCKER_CONTEXT": "company"}
    output = subprocess.run([sys.executable, "-c", probe], env=env, capture_output=True, text=True, check=True).stdout
    assert output.strip() == str({"DOCKER_HOST": "unix:///dev/null/no-docker-for-the-sandbox"})


@pytest.mark.parametrize(
    ("path", "body", "output"),
    [
        ("/clusters", {"name": "x", "roleArn": "r", "resourcesVpcConfig": {}, "verison": "1"}, "verison"),
        ("/clusters", {"name": "x", "resourcesVpcConfig": {}}, "roleArn"),
        ("/clusters/x/node-groups", {"nodegroupName": "n", "amiType": "AL2", "subnets": [], "nodeRole": "r"}, "AL2"),
        ("/clusters/x/insights", {}, "does not simulate the operation"),
    ],
)
def test_eks_refuses_requests_outside_its_model(aws: Any, path: str, body: dict[str, Any], output: str) -> None:
    status, answer = raw(path, body)
    assert status == 400
    assert output in answer["message"]


def test_the_parameters_of_eks_images_exist(aws: Any) -> None:
    path = "/aws/service/eks/optimized-ami/1.35/amazon-linux-2023/x86_64/nvidia/recommended/release_version"
    assert aws("ssm").get_parameter(Name=path)["Parameter"]["Value"].startswith("1.35.")
    with pytest.raises(botocore.exceptions.ClientError, match="ParameterNotFound"):
        aws("ssm").get_parameter(Name=path.replace("1.35", "1.99"))
