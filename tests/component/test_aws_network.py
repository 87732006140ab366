"""The network on AWS: the inputs that the SDK gets, and what is refused."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any

import pulumi
import pytest
from parliament import analyze_policy_string

from components import arguments
from components.aws import endpoints
from components.aws.cluster import LOG_TYPES, EksClusterArgs
from components.aws.network import NAT_MODES, AwsNetwork, AwsNetworkArgs
from components.aws.node_pool import EksNodePool
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record, settings
from tests.component.existing_vpc import OWNED, PRIVATE, outputs
from tests.component.stage import AWS_ZONES, GUIDE_CPU, aws_options


def network(**args: Any) -> Recording:
    """A recorded AwsNetwork called `net`."""
    defaults = {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": "train"}
    return run(lambda: AwsNetwork("net", {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


class TestNetwork:
    def test_each_zone_has_a_private_and_a_public_subnet_that_do_not_overlap(self) -> None:
        subnets = network().all("Subnet")
        assert {found.name for found in subnets} == {
            f"net-{kind}-{zone}" for kind in ("private", "public") for zone in AWS_ZONES
        }
        blocks = [ipaddress.IPv4Network(found.inputs["cidrBlock"]) for found in subnets]
        assert not any(one.overlaps(other) for i, one in enumerate(blocks) for other in blocks[:i])
        assert all(block.subnet_of(ipaddress.IPv4Network("10.0.0.0/16")) for block in blocks)

    def test_adding_a_zone_moves_no_other_subnet(self) -> None:
        def blocks(zones: list[str]) -> dict[str, str]:
            return {found.name: found.inputs["cidrBlock"] for found in network(zones=zones).all("Subnet")}

        few, many = blocks(AWS_ZONES), blocks(["us-east-1f", *AWS_ZONES])
        assert few.items() <= many.items()

    def test_load_balancers_find_their_subnets_by_tag(self) -> None:
        made = network()
        assert made.one("Subnet", "net-public-us-east-1a").inputs["tags"]["kubernetes.io/role/elb"] == "1"
        private = made.one("Subnet", "net-private-us-east-1a").inputs["tags"]
        assert private["kubernetes.io/role/internal-elb"] == "1"
        assert private["kubernetes.io/cluster/train"] == "shared"

    @pytest.mark.parametrize(("mode", "gateways"), [("none", 0), ("single", 1), ("per_zone", 2)])
    def test_the_nat_mode_sets_the_number_of_gateways(self, mode: str, gateways: int) -> None:
        made = network(nat=mode, interface_endpoints=list(endpoints.NEEDED_WITHOUT_NAT) if mode == "none" else [])
        assert len(made.all("NatGateway")) == gateways
        routes = [found for found in made.all("Route") if "natGatewayId" in found.inputs]
        assert len(routes) == (2 if gateways else 0)

    def test_dependants_of_the_network_are_deleted_before_its_internet_route(self) -> None:
        """seed row S01: nodes have a route as long as they exist."""

        def program() -> None:
            options = aws_options()
            net = AwsNetwork("net", {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": "train"}, options)
            args = {
                "pool": GUIDE_CPU,
                "cluster": "train",
                "subnet_ids": net.subnet_ids,
                "node_role_arn": "arn:aws:iam::123456789012:role/n",
            }
            after = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[net]))
            EksNodePool("cpu-workers", args, after)  # type: ignore[arg-type]

        made = run(program)
        group = made.one("NodeGroup", "cpu-workers-us-east-1b")
        for kind in ("NatGateway", "Route", "RouteTableAssociation", "InternetGateway"):
            for found in made.all(kind):
                if "private" in found.name or kind in ("NatGateway", "InternetGateway"):
                    assert made.must_outlive(found, group), found

    def test_the_default_security_group_has_no_rule(self) -> None:
        group = network().one("DefaultSecurityGroup")
        assert group.inputs["ingress"] == [] and group.inputs["egress"] == []


PODS = {"pods_cidr": "100.64.0.0/16"}


def test_the_description_of_an_argument_names_every_value_that_it_can_have() -> None:
    network_fields, cluster_fields = arguments.shape(AwsNetworkArgs).fields, arguments.shape(EksClusterArgs).fields
    for service in endpoints.SERVICES:
        assert re.search(rf"\b{service}\b", network_fields["interface_endpoints"].doc), service
    for mode in NAT_MODES:
        assert re.search(rf"\b{mode}\b", network_fields["nat"].doc), mode
    for kind in LOG_TYPES:
        assert re.search(rf"\b{kind}\b", cluster_fields["log_types"].doc), kind
    assert cluster_fields["log_types"].default == list(LOG_TYPES[:3])


class TestAddressesForPods:
    def test_each_zone_has_a_subnet_for_pods_in_the_secondary_network_that_the_vpc_cni_finds_by_tag(self) -> None:
        made = network(**PODS)
        joined = made.one("VpcIpv4CidrBlockAssociation")
        assert joined.inputs["cidrBlock"] == "100.64.0.0/16"
        for zone in AWS_ZONES:
            subnet = made.one("Subnet", f"net-pods-{zone}")
            assert ipaddress.IPv4Network(subnet.inputs["cidrBlock"]).subnet_of(ipaddress.IPv4Network("100.64.0.0/16"))
            assert subnet.inputs["availabilityZone"] == zone
            assert subnet.inputs["tags"]["kubernetes.io/role/cni"] == "1"
            # no load balancer finds it
            assert not any(
                key.startswith(("kubernetes.io/cluster/", "kubernetes.io/role/elb", "kubernetes.io/role/int"))
                for key in subnet.inputs["tags"]
            )
            assert made.must_outlive(joined, subnet)

    def test_pods_use_the_internet_route_of_their_zone(self) -> None:
        made = network(**PODS, nat="per_zone")
        for zone in AWS_ZONES:
            tables = {
                made.one("RouteTableAssociation", f"net-{kind}-{zone}").inputs["routeTableId"]
                for kind in ("private", "pods")
            }
            assert tables == {made.one("RouteTable", f"net-private-{zone}").id}

    def test_pods_do_not_use_node_subnets_once_they_have_their_own(self) -> None:
        """A subnet without free addresses cannot have new nodes."""
        made = network(**PODS)
        for zone in AWS_ZONES:
            private = made.one("Subnet", f"net-private-{zone}")
            assert private.inputs["tags"]["kubernetes.io/role/cni"] == "0"
            assert made.must_outlive(made.one("Subnet", f"net-pods-{zone}"), private)
            assert "kubernetes.io/role/cni" not in network().one("Subnet", private.name).inputs["tags"]

    def test_a_pod_network_larger_than_slash_16_joins_in_parts(self) -> None:
        made = network(pods_cidr="100.64.0.0/13")
        joined = [found.inputs["cidrBlock"] for found in made.all("VpcIpv4CidrBlockAssociation")]
        assert sorted(joined) == ["100.64.0.0/16", "100.65.0.0/16"]
        assert made.one("Subnet", "net-pods-us-east-1b").inputs["cidrBlock"] == "100.65.0.0/16"

    def test_adding_a_zone_changes_no_other_pod_subnet(self) -> None:
        def blocks(zones: list[str]) -> dict[str, str]:
            made = network(zones=zones, pods_cidr="100.64.0.0/14")
            return {found.name: found.inputs["cidrBlock"] for found in made.all("Subnet")}

        assert blocks(AWS_ZONES).items() <= blocks(["us-east-1f", *AWS_ZONES]).items()

    def test_subnets_for_pods_assign_no_public_addresses(self) -> None:
        for subnet in network(**PODS).all("Subnet"):
            assert subnet.inputs["mapPublicIpOnLaunch"] is False


class TestInterfaceEndpoints:
    def test_a_service_has_an_endpoint_in_every_zone_under_its_usual_name(self) -> None:
        made = network(interface_endpoints=["ecr", "eks-auth"])
        found = {each.inputs["serviceName"]: each.inputs for each in made.all("VpcEndpoint")}
        assert set(found) == {f"com.amazonaws.us-east-1.{name}" for name in ("s3", "ecr.api", "ecr.dkr", "eks-auth")}
        private = {made.one("Subnet", f"net-private-{zone}").id for zone in AWS_ZONES}
        for name, inputs in found.items():
            if not name.endswith(".s3"):
                assert inputs["vpcEndpointType"] == "Interface" and inputs["privateDnsEnabled"] is True
                assert set(inputs["subnetIds"]) == private

    def test_endpoints_accept_https_only_from_the_vpc(self) -> None:
        made = network(interface_endpoints=["sts"], pods_cidr="100.64.0.0/14")
        group = made.one("SecurityGroup", "net-endpoints")
        assert "ingress" not in group.inputs and "egress" not in group.inputs
        rules = [found.inputs for found in made.all("SecurityGroupIngressRule")]
        assert {rule["cidrIpv4"] for rule in rules} == {"10.0.0.0/16", "100.64.0.0/16"}
        assert {(rule["fromPort"], rule["toPort"], rule["ipProtocol"]) for rule in rules} == {(443, 443, "tcp")}
        assert made.one("VpcEndpoint", "net-sts").inputs["securityGroupIds"] == [group.id]

    def test_endpoints_accept_only_identities_of_the_account_except_reads_of_s3(self) -> None:
        """security case M17: credentials of another account cannot be used to copy data out of a pod."""
        made = network(interface_endpoints=list(endpoints.SERVICES))
        for found in made.all("VpcEndpoint"):
            service = found.inputs["serviceName"].removeprefix("com.amazonaws.us-east-1.")
            first, *others = json.loads(found.inputs["policy"])["Statement"]
            assert first["Condition"] == {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}, service
            allowed = {action for each in others for action in each["Action"]}
            expected = {
                "s3": {"s3:GetObject*", "s3:ListBucket"},
                "sts": {"sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"},
            }
            assert allowed == expected.get(service, set()), service

    def test_without_interface_endpoints_only_the_s3_gateway_exists(self) -> None:
        made = network()
        assert [found.inputs["vpcEndpointType"] for found in made.all("VpcEndpoint")] == ["Gateway"]
        assert made.all("SecurityGroup") == []

    def test_without_nat_the_endpoints_that_nodes_need_are_required(self) -> None:
        needed = list(endpoints.NEEDED_WITHOUT_NAT)
        assert network(nat="none", interface_endpoints=needed).all("NatGateway") == []
        for name in needed:
            with pytest.raises(pulumi.RunError, match=f"nodes cannot reach {name} "):
                network(nat="none", interface_endpoints=[each for each in needed if each != name])


class TestFlowLog:
    def test_all_traffic_is_logged_with_the_configured_retention(self) -> None:
        made = network(flow_log_days=30)
        log, group = made.one("aws:ec2/flowLog:FlowLog"), made.one("LogGroup")
        assert group.inputs["retentionInDays"] == 30
        assert log.inputs["trafficType"] == "ALL" and log.inputs["logDestination"] == group.outputs["arn"]
        assert log.inputs["vpcId"] == made.one("Vpc").id
        assert made.must_outlive(made.one("RolePolicy"), log)

    def test_the_flow_log_role_is_limited_to_its_log_group_and_this_account(self) -> None:
        made = network(flow_log_days=30)
        arn, role = made.one("LogGroup").outputs["arn"], made.one("Role")
        granted = {
            action: statement["Resource"]
            for statement in json.loads(made.one("RolePolicy").inputs["policy"])["Statement"]
            for action in statement["Action"]
        }
        writes = ("logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams")
        assert granted == {**{key: [arn, f"{arn}:*"] for key in writes}, "logs:DescribeLogGroups": ["*"]}
        (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
        assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}

    def test_the_policy_of_flow_logs_passes_the_linter(self) -> None:
        arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/vpc/train/flow-log"
        args = {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": "train", "flow_log_days": 30}
        made = run(
            lambda: AwsNetwork("net", args, aws_options()),  # type: ignore[arg-type]
            outputs={"aws:cloudwatch/logGroup:LogGroup": {"arn": arn}},
        )
        assert analyze_policy_string(made.one("RolePolicy").inputs["policy"]).findings == []

    def test_flow_logs_are_off_by_default(self) -> None:
        made = network()
        assert made.all("FlowLog") == made.all("LogGroup") == made.all("Role") == []


def test_every_taggable_network_resource_has_the_callers_tags() -> None:
    made = network(**PODS, interface_endpoints=["sts"], flow_log_days=7, tags={"team": "vision"})
    without = {"RouteTableAssociation", "Route", "VpcIpv4CidrBlockAssociation", "RolePolicy"}
    for found in made.resources.values():
        kind = found.type.rpartition(":")[2]
        if found.package == "aws" and kind not in without:
            assert found.inputs["tags"]["team"] == "vision", found


@pytest.mark.parametrize(
    ("args", "path", "words"),
    [
        ({"pods_cidr": "100.64.0.0/8"}, "pods_cidr", "write 100.0.0.0/8"),
        # reliability case R12
        ({"cidr": "8.8.0.0/16"}, "cidr", "public addresses"),
        ({"cidr": "172.32.0.0/16"}, "cidr", "public addresses"),
        ({"cidr": "172.17.0.0/16"}, "cidr", "Docker"),
        ({"cidr": "172.17.64.0/20"}, "cidr", "Docker"),
        ({"cidr": "169.254.0.0/16"}, "cidr", "AWS reserves"),
        ({"cidr": "127.0.0.0/16"}, "cidr", "AWS reserves"),
        ({"cidr": "224.0.0.0/16"}, "cidr", "AWS reserves"),
        ({"cidr": "198.19.0.0/16"}, "cidr", "AWS reserves"),
        ({"cidr": "10.0.0.0/255.255.0.0"}, "cidr", "write 10.0.0.0/16"),
        ({"cidr": "10.0.0.0"}, "cidr", "not a network in CIDR notation"),
        ({"pods_cidr": "100.64.0.0/10"}, "pods_cidr", "/13 to /22"),
        ({"pods_cidr": "10.0.128.0/20"}, "pods_cidr", "overlaps `cidr` = 10.0.0.0/16"),
        ({"pods_cidr": "192.168.0.0/16"}, "pods_cidr", "write 100.64.0.0/16"),
        ({"cidr": "100.64.0.0/16", "pods_cidr": "10.0.0.0/16"}, "pods_cidr", "write 100.96.0.0/16"),
        ({"interface_endpoints": ["ecr", "EKS_auth"]}, "interface_endpoints[1]", "write eks-auth"),
        ({"interface_endpoints": ["sts", "sts"]}, "interface_endpoints[1]", "named twice"),
        ({"flow_log_days": 31}, "flow_log_days", "write 60"),
        ({"flow_log_days": 9999}, "flow_log_days", "write 3653"),
        ({"flow_log_days": -1}, "flow_log_days", "write 0"),
        ({"nat": "none"}, "interface_endpoints", "or write `nat: single`"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_created(args: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        network(**args)
    text = str(caught.value)
    assert f"  {path} = " in text and words in text and "one value" in text, text


class TestStack:
    """The stack's config reaches the components."""

    def test_a_new_network_follows_the_config(self) -> None:
        config = settings("dev")
        config["gpuyard:network"] |= {
            "nat": "none",
            "podsCidr": "100.64.0.0/16",
            "interfaceEndpoints": list(endpoints.SERVICES),
            "flowLogDays": 30,
        }
        config["gpuyard:images"] = {"registry": "111122223333.dkr.ecr.us-east-1.amazonaws.com"}
        made = record(config, "dev")
        assert made.one("VpcIpv4CidrBlockAssociation").inputs["cidrBlock"] == "100.64.0.0/16"
        assert made.one("LogGroup", "network-flow-log").inputs["retentionInDays"] == 30
        for group in made.all("NodeGroup"):
            for kind in ("VpcEndpoint", "SecurityGroupIngressRule"):
                for needed in (each for each in made.all(kind) if each.name.startswith("network-")):
                    assert made.must_outlive(needed, group), needed

    def test_an_existing_network_replaces_the_new_one(self) -> None:
        config = settings("dev")
        owned, private = {"vpcId": OWNED["vpc_id"], "privateSubnetIds": PRIVATE}, set(PRIVATE.values())
        config["gpuyard:network"] = {"zones": AWS_ZONES, "existing": owned}
        made = record(config, "dev", outputs=outputs())
        assert made.all("Vpc") == made.all("Subnet") == made.all("aws:ec2/routeTable:RouteTable") == []
        assert made.exports["networkId"] == OWNED["vpc_id"]
        assert set(made.one("aws:eks/cluster:Cluster").inputs["vpcConfig"]["subnetIds"]) == private
        for group in made.all("NodeGroup"):
            assert set(group.inputs["subnetIds"]) < private
            assert all(made.must_outlive(tag, group) for tag in made.all("aws:ec2/tag:Tag"))
        assert {found.inputs["subnetId"] for found in made.all("MountTarget")} == private
