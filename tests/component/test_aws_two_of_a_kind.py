"""Two clusters on AWS in one program, and the wrapped resources of the components."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks

from components.aws.buckets import S3Buckets
from components.aws.cluster import EksCluster
from components.aws.lustre import FsxLustre
from components.aws.network import AwsNetwork
from components.aws.storage import AwsStorage
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import AWS_ZONES, aws_options


def environment(name: str, options: pulumi.ResourceOptions) -> dict[str, Any]:
    """Network, cluster and storage; their names begin with `name`."""
    network = AwsNetwork(
        f"{name}-network",
        {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": name, "flow_log_days": 7},
        options,
    )
    cluster = EksCluster(
        f"{name}-cluster",
        {
            "cluster_name": name,
            "version": "1.35",
            "network_id": network.network_id,
            "private_subnet_ids": network.subnet_ids,
            "public_subnet_ids": network.load_balancer_subnet_ids,
            "access": {"ops": {"principal_arn": "arn:aws:iam::123456789012:role/ops", "level": "admin"}},
        },
        options,
    )
    common: Any = {"cluster": cluster.cluster_name, "kubernetes_version": "1.35"}
    place: Any = {
        "network_id": network.network_id,
        "subnet_ids": network.subnet_ids,
        "security_group_id": cluster.security_group_id,
    }
    return {
        "network": network,
        "cluster": cluster,
        "storage": AwsStorage(f"{name}-storage", {**common, **place}, options),
        "lustre": FsxLustre(f"{name}-lustre", {**common, **place, "zone": AWS_ZONES[1]}, options),
        "buckets": S3Buckets(
            f"{name}-buckets", {**common, "region": "us-east-1", "buckets": {"data": {"bucket": "acme-data"}}}, options
        ),
    }


def names(made: Recording) -> list[str]:
    return sorted(urn for urn, found in made.resources.items() if not found.is_provider and found.parent)


def test_two_environments_in_one_program_have_different_urns() -> None:
    def program() -> None:
        options = aws_options()
        environment("red", options)
        environment("blue", options)

    one = names(run(lambda: environment("red", aws_options())))
    both = names(run(program))
    assert both == sorted([*one, *(urn.replace("::red-", "::blue-") for urn in one)])
    assert len({*both}) == 2 * len(one)


def test_the_clusters_name_is_in_tags_and_descriptions() -> None:
    made = run(lambda: environment("red", aws_options()))
    tagged = {found.inputs["tags"]["Name"] for found in made.all("SecurityGroup")}
    assert tagged == {"red-nfs", "red-lustre"}
    assert made.one("SecurityGroup", "red-storage-nfs").inputs["description"] == "NFS from the nodes of red"
    assert made.one("SecurityGroup", "red-lustre-servers").inputs["description"] == "Lustre to the nodes of red"
    assert made.one("aws:efs/fileSystem:FileSystem").inputs["tags"]["Name"] == "red-shared"
    assert made.one("LustreFileSystem").inputs["tags"]["Name"] == "red-lustre"


def test_a_preview_without_a_cluster_shows_its_storage() -> None:
    """The name of a new cluster is unknown at preview, so no logical name contains it."""
    later = run(lambda: environment("red", aws_options()), preview=True)
    assert names(later) == names(run(lambda: environment("red", aws_options())))


def test_the_wrapped_resources_are_attributes() -> None:
    found: dict[str, Any] = {}
    made = run(lambda: found.update(environment("red", aws_options())))
    kinds = {"network": aws.ec2.Vpc, "cluster": eks.Cluster, "storage": aws.efs.FileSystem}
    for name, kind in {**kinds, "lustre": aws.fsx.LustreFileSystem}.items():
        assert isinstance(found[name].resource, kind), name
    assert [type(each).__name__ for each in found["buckets"].volumes.values()] == ["PersistentVolume"]
    assert not [each for each in made.resources.values() if "resource" in each.outputs]


def test_subnets_are_available_by_zone() -> None:
    def program() -> None:
        network = environment("red", aws_options())["network"]
        pulumi.export("together", network.private_subnet_ids)
        pulumi.export("one", network.subnet_ids[AWS_ZONES[1]])
        pulumi.export("public", network.public_subnet_ids)

    made = run(program)
    by_zone = {zone: made.one("Subnet", f"red-network-private-{zone}").id for zone in AWS_ZONES}
    assert made.exports["together"] == by_zone and made.exports["one"] == by_zone[AWS_ZONES[1]]
    assert made.exports["public"] == {zone: made.one("Subnet", f"red-network-public-{zone}").id for zone in AWS_ZONES}
