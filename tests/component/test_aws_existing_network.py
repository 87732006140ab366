"""An existing VPC: what is looked up, what is refused, what is tagged."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws.cluster import EksCluster
from components.aws.existing_network import AwsExistingNetwork
from components.aws.network import AwsNetwork
from recording.recorder import run
from tests.component.existing_vpc import OWNED, PRIVATE, PUBLIC, SUBNETS, existing, outputs
from tests.component.stage import GUIDE_CPU, aws_options, pool
from tests.failing_lookup import LookupFailed

A = "subnet-0aaaaaaa0"


def _without_public() -> Any:
    return {name: value for name, value in OWNED.items() if name != "public_subnet_ids"}


class TestExistingNetwork:
    def test_only_tags_of_subnets_are_created(self) -> None:
        made = existing()
        custom = [found for found in made.resources.values() if found.package == "aws"]
        assert {found.type for found in custom} == {"aws:ec2/tag:Tag"}
        tags = {(found.inputs["resourceId"], found.inputs["key"]): found.inputs["value"] for found in custom}
        cluster, role = "kubernetes.io/cluster/train", "kubernetes.io/role"
        assert tags == {
            **{(each, cluster): "shared" for each in SUBNETS},
            **{(each, f"{role}/internal-elb"): "1" for each in SUBNETS if "aaaa" in each},
            **{(each, f"{role}/elb"): "1" for each in SUBNETS if "bbbb" in each},
        }

    def test_tags_that_other_clusters_read_are_kept_at_deletion(self) -> None:
        for found in existing().all("aws:ec2/tag:Tag"):
            assert found.options.get("retainOnDelete", False) is found.inputs["key"].startswith("kubernetes.io/role/")

    def test_the_outputs_are_those_of_a_new_network(self) -> None:
        made = existing(private_subnet_ids=dict(reversed(PRIVATE.items())))
        assert made.exports == {
            "network_id": OWNED["vpc_id"],
            "private_subnet_ids": PRIVATE,
            "public_subnet_ids": PUBLIC,
        }
        hints = {name: hint for name, hint in AwsNetwork.__annotations__.items() if not name.startswith("_")}
        assert AwsExistingNetwork.__annotations__ == hints

    def test_a_cluster_depends_on_the_tags(self) -> None:
        def program() -> None:
            options = aws_options()
            net = AwsExistingNetwork("net", _without_public(), options)  # type: ignore[typeddict-item]
            args = {
                "cluster_name": "train",
                "version": "1.35",
                "network_id": net.network_id,
                "private_subnet_ids": net.subnet_ids,
                "public_subnet_ids": net.load_balancer_subnet_ids,
            }
            EksCluster("c", args, options)  # type: ignore[arg-type]

        made = run(program, outputs=outputs())
        cluster = made.one("aws:eks/cluster:Cluster")
        assert set(cluster.inputs["vpcConfig"]["subnetIds"]) == {"subnet-0aaaaaaa0", "subnet-0aaaaaaa1"}
        for found in made.all("aws:ec2/tag:Tag"):
            if found.inputs["key"] == "kubernetes.io/cluster/train":
                assert made.must_outlive(found, cluster)

    @pytest.mark.parametrize("preview", [True, False])
    def test_lookups_use_the_components_provider_also_at_preview(self, preview: bool) -> None:
        made = existing(preview=preview)
        assert made.without_provider() == []
        assert {call.token for call in made.invokes} == {"aws:ec2/getVpc:getVpc", "aws:ec2/getSubnet:getSubnet"}

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"vpc_id": "my-vpc"}, "vpc_id", "not a valid VPC id"),
            ({"private_subnet_ids": {"us-east-1a": A}}, "private_subnet_ids", "at least two zones"),
            (
                {"private_subnet_ids": {**PRIVATE, "us-west-2a": "subnet-0c0c0c0c"}},
                "private_subnet_ids.us-west-2a",
                "not an availability zone of us-east-1",
            ),
            (
                {"public_subnet_ids": {"us-east-1a": A}},
                "public_subnet_ids.us-east-1a",
                "already used as the private subnet of us-east-1a",
            ),
            (
                {"public_subnet_ids": {"us-east-1c": "subnet-0c0c0c0c"}},
                "public_subnet_ids.us-east-1c",
                "add it to `private_subnet_ids`",
            ),
            ({"public_subnet_ids": {"us-east-1a": "net-1"}}, "public_subnet_ids.us-east-1a", "not a valid subnet id"),
        ],
    )
    def test_mistakes_in_arguments_are_reported_without_a_lookup(
        self, args: dict[str, Any], path: str, words: str
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            existing(**args)
        assert f"  {path} = " in str(caught.value) and words in str(caught.value)

    @pytest.mark.parametrize(
        ("says", "path", "words"),
        [
            (outputs(vpc={"enableDnsSupport": False}), "vpc_id", "enable-dns-support"),
            (outputs(vpc={"enableDnsHostnames": False}), "vpc_id", "modify-vpc-attribute"),
            (outputs(subnets={A: {"vpcId": "vpc-9"}}), "private_subnet_ids.us-east-1a", "in vpc-9"),
            (
                outputs(subnets={A: {"availabilityZone": "us-east-1b"}}),
                "private_subnet_ids.us-east-1a",
                "a subnet in us-east-1a",
            ),
            (
                outputs(subnets={A: {"mapPublicIpOnLaunch": True}}),
                "private_subnet_ids.us-east-1a",
                "move it to `public_subnet_ids`",
            ),
        ],
    )
    def test_an_unsuitable_vpc_is_one_error_before_any_tag(self, says: dict[str, Any], path: str, words: str) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            existing(says)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text and "nothing was changed" not in text, text

    def test_a_failed_lookup_is_reported_with_the_message_of_aws(self) -> None:
        def gone(args: dict[str, Any]) -> dict[str, Any]:
            raise LookupFailed(f"InvalidSubnetID.NotFound: The subnet ID '{args['id']}' does not exist")

        with pytest.raises(pulumi.RunError, match="does not exist") as caught:
            existing({**outputs(), "aws:ec2/getSubnet:getSubnet": gone})
        assert "4 values cannot work" in str(caught.value)

    def test_nodes_that_pull_from_the_internet_need_a_route(self) -> None:
        """field case A10: a subnet without a route table uses that of the VPC; a registry inside the VPC needs no
        internet route."""

        def table(args: dict[str, Any]) -> dict[str, Any]:
            if args.get("subnetId") == A:
                raise LookupFailed("no matching EC2 Route Table found")
            inside = {"cidrBlock": "10.0.0.0/8", "transitGatewayId": "tgw-1"}
            out = [{"cidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1"}] if args.get("subnetId") else []
            return {**args, "routes": [inside, *out]}

        says = {**outputs(), "aws:ec2/getRouteTable:getRouteTable": table}
        with pytest.raises(pulumi.RunError, match="no route leads out") as caught:
            existing(says, needs_internet=True)
        assert f"private_subnet_ids.us-east-1a = '{A}': no route leads out" in str(caught.value)
        assert "us-east-1b" not in str(caught.value)
        existing(says)
        existing(needs_internet=True)

    POOLS = {"cpu": pool(GUIDE_CPU, max=20)}  # 10 nodes of 130 in each zone, and 17 for others

    @pytest.mark.parametrize(
        ("subnet", "pods", "fits"),
        [
            ({"availableIpAddressCount": 1317}, {}, True),
            ({"availableIpAddressCount": 1316}, {}, False),
            # The cluster's own nodes are among what is taken.
            ({"availableIpAddressCount": 3, "tags": {"kubernetes.io/cluster/train": "shared"}}, {}, True),
            ({"availableIpAddressCount": 3, "tags": {"kubernetes.io/cluster/other": "shared"}}, {}, False),
            # The owner keeps a subnet for pods, of this zone or of another.
            ({"availableIpAddressCount": 100}, {"availabilityZone": "us-east-1a"}, True),
            ({"availableIpAddressCount": 100}, {"availabilityZone": "us-east-1b"}, False),
            ({"availableIpAddressCount": 26}, {"availabilityZone": "us-east-1a"}, False),
            # Pods may not have the nodes' addresses.
            ({"tags": {"kubernetes.io/role/cni": "0"}}, {}, False),
            ({"tags": {"kubernetes.io/role/cni": "0"}}, {"availabilityZone": "us-east-1a"}, True),
        ],
    )
    def test_the_subnets_must_hold_the_pools_at_their_maximum(
        self, subnet: dict[str, Any], pods: dict[str, Any], fits: bool
    ) -> None:
        extra = {"subnet-0cccccccc": pods} if pods else {}
        says = outputs(subnets={A: subnet, **extra}, pods=list(extra))
        if fits:
            existing(says, node_pools=self.POOLS)
        else:
            with pytest.raises(pulumi.RunError, match=r"private_subnet_ids\.us-east-1a = .* at their maximum"):
                existing(says, node_pools=self.POOLS)
        existing(says)


@pytest.mark.parametrize(
    ("changes", "path"), [({"max": 0}, "max"), ({"zones": ["us-east-1f"]}, r"zones\[0\]"), ({"image": "al2"}, "image")]
)
def test_the_pools_are_checked(changes: dict[str, Any], path: str) -> None:
    """Otherwise a wrong pool would not be counted, and the network would seem to have room."""
    pool = {"machine_types": ["m5.2xlarge"], "min": 0, "max": 2, **changes}
    with pytest.raises(pulumi.RunError, match=rf"node_pools\.cpu\.{path} = "):
        existing(node_pools={"cpu": pool})


def test_pools_may_have_keys_that_only_eks_has() -> None:
    pool = {"machine_types": ["m5.2xlarge"], "min": 1, "max": 2, "image": "bottlerocket", "update_percentage": 10}
    assert existing(node_pools={"cpu": pool}).all("aws:ec2/tag:Tag")
