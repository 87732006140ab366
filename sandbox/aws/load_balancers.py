"""Load balancers as EKS's own service controller creates them for a Service of type LoadBalancer: a classic one, or a
network one if the annotation requests it (cloud-provider-aws, docs/service_controller.md).

It is in the subnets that are tagged for it, one for each zone, and has its own security group. Not simulated: its
targets, the rule that allows it to reach them (but the group that would get the rule must exist), and all annotations
except those for type, scheme and source ranges.
"""

from __future__ import annotations

from typing import Any

from sandbox.aws import session
from sandbox.cluster.api import Object
from sandbox.cluster.load_balancers import CannotBalance

_PREFIX = "service.beta.kubernetes.io/aws-load-balancer-"
# Types that the AWS Load Balancer Controller handles.
_FOREIGN = ("external", "nlb-ip")


class LoadBalancers:
    """The load balancers of one EKS cluster (the protocol of sandbox/cluster/load_balancers.py)."""

    def __init__(self, region: str, cluster: str) -> None:
        self._region = region
        self._cluster = cluster

    def serves(self, service: Object) -> bool:
        return not service["spec"].get("loadBalancerClass") and _annotation(service, "type") not in _FOREIGN

    def ensure(self, name: str, service: Object) -> str:
        network = _annotation(service, "type") == "nlb"
        if found := (self._network(name) if network else self._classic(name)):
            return found["DNSName"]
        internal = _annotation(service, "internal") == "true" or _annotation(service, "scheme") == "internal"
        vpc, subnets = self._subnets("internal-elb" if internal else "elb")
        self._one_group_of_each_node()
        scheme = "internal" if internal else "internet-facing"
        meta = service["metadata"]
        tags = [
            {"Key": "kubernetes.io/service-name", "Value": f"{meta['namespace']}/{meta['name']}"},
            {"Key": f"kubernetes.io/cluster/{self._cluster}", "Value": "owned"},
        ]
        if network:
            answer = self._client("elbv2").create_load_balancer(
                Name=name, Type="network", Scheme=scheme, Subnets=subnets, Tags=tags
            )
            return answer["LoadBalancers"][0]["DNSName"]
        made: dict[str, Any] = {"Scheme": scheme} if internal else {}
        return self._client("elb").create_load_balancer(
            LoadBalancerName=name,
            Listeners=[
                {
                    "Protocol": "TCP",
                    "LoadBalancerPort": port["port"],
                    "InstanceProtocol": "TCP",
                    "InstancePort": port.get("nodePort") or port["port"],
                }
                for port in service["spec"]["ports"]
            ],
            Subnets=subnets,
            SecurityGroups=[self._group(name, vpc, service, tags)],
            Tags=tags,
            **made,
        )["DNSName"]

    def remove(self, name: str) -> None:
        if self._classic(name):
            self._client("elb").delete_load_balancer(LoadBalancerName=name)
        if found := self._network(name):
            self._client("elbv2").delete_load_balancer(LoadBalancerArn=found["LoadBalancerArn"])
        for group in self._groups(name):
            self._client("ec2").delete_security_group(GroupId=group["GroupId"])

    def _one_group_of_each_node(self) -> None:
        """The node's security group with the cluster's tag, if the node has several groups (cloud-provider-aws, aws.go,
        findSecurityGroupForInstance)."""
        ec2, tag = self._client("ec2"), f"kubernetes.io/cluster/{self._cluster}"
        wanted = [{"Name": "tag-key", "Values": [tag]}]
        tagged = {each["GroupId"] for each in ec2.describe_security_groups(Filters=wanted)["SecurityGroups"]}
        running = [*wanted, {"Name": "instance-state-name", "Values": ["pending", "running"]}]
        for reservation in ec2.describe_instances(Filters=running)["Reservations"]:
            for machine in reservation["Instances"]:
                own = [each["GroupId"] for each in machine["SecurityGroups"]]
                found = sorted(tagged.intersection(own))
                if len(found) > 1:
                    raise CannotBalance(
                        f"Multiple tagged security groups found for instance {machine['InstanceId']}; ensure only the "
                        f"k8s security group is tagged; the tagged groups were {' '.join(found)}"
                    )
                if not found and len(own) > 1:
                    raise CannotBalance(
                        f"Multiple untagged security groups found for instance {machine['InstanceId']}; ensure the k8s "
                        "security group is tagged"
                    )

    def _subnets(self, role: str) -> tuple[str, list[str]]:
        """The cluster's VPC, and for each zone a subnet that is tagged for such load balancers."""
        vpc = self._client("eks").describe_cluster(name=self._cluster)["cluster"]["resourcesVpcConfig"]["vpcId"]
        wanted = [
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "tag-key", "Values": [f"kubernetes.io/role/{role}"]},
        ]
        zones: dict[str, str] = {}
        for subnet in self._client("ec2").describe_subnets(Filters=wanted)["Subnets"]:
            clusters = {tag["Key"] for tag in subnet["Tags"] if tag["Key"].startswith("kubernetes.io/cluster/")}
            if not clusters or f"kubernetes.io/cluster/{self._cluster}" in clusters:
                zone, id = subnet["AvailabilityZone"], subnet["SubnetId"]
                zones[zone] = min(id, zones.get(zone, id))
        if not zones:
            raise CannotBalance("could not find any suitable subnets for creating the ELB")
        return vpc, sorted(zones.values())

    def _group(self, name: str, vpc: str, service: Object, tags: list[dict[str, str]]) -> str:
        meta, ec2 = service["metadata"], self._client("ec2")
        if found := self._groups(name):  # from an interrupted attempt
            return found[0]["GroupId"]
        made = ec2.create_security_group(
            GroupName=f"k8s-elb-{name}",
            Description=f"Security group for Kubernetes ELB {name} ({meta['namespace']}/{meta['name']})",
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags[1:]}],
        )["GroupId"]
        ranges = service["spec"].get("loadBalancerSourceRanges") or ["0.0.0.0/0"]
        ec2.authorize_security_group_ingress(
            GroupId=made,
            IpPermissions=[
                {
                    "IpProtocol": "tcp",
                    "FromPort": port["port"],
                    "ToPort": port["port"],
                    "IpRanges": [{"CidrIp": each} for each in ranges],
                }
                for port in service["spec"]["ports"]
            ],
        )
        return made

    def _groups(self, name: str) -> list[dict[str, Any]]:
        wanted = [{"Name": "group-name", "Values": [f"k8s-elb-{name}"]}]
        return self._client("ec2").describe_security_groups(Filters=wanted)["SecurityGroups"]

    def _classic(self, name: str) -> dict[str, Any] | None:
        found = self._client("elb").describe_load_balancers()["LoadBalancerDescriptions"]
        return next((each for each in found if each["LoadBalancerName"] == name), None)

    def _network(self, name: str) -> dict[str, Any] | None:
        found = self._client("elbv2").describe_load_balancers()["LoadBalancers"]
        return next((each for each in found if each["LoadBalancerName"] == name), None)

    def _client(self, service: str) -> Any:
        return session.client(service, self._region)


def _annotation(service: Object, name: str) -> str:
    return (service["metadata"].get("annotations") or {}).get(f"{_PREFIX}{name}", "")
