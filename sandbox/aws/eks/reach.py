"""Whether the nodes of an EKS cluster reach the internet, and which registries they reach if not."""

from __future__ import annotations

from typing import Any

from sandbox.aws import session
from sandbox.cluster.reach import ECR, Reach


def reach(region: str, cluster: str) -> Reach:
    """From the route tables of the node groups' subnets and the VPC's endpoints."""
    eks, ec2 = session.client("eks", region), session.client("ec2", region)
    names = eks.list_nodegroups(clusterName=cluster)["nodegroups"]
    groups = [eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"] for name in names]
    subnets = sorted({subnet for group in groups for subnet in group["subnets"]})
    if not subnets:
        return Reach()
    vpc = ec2.describe_subnets(SubnetIds=subnets[:1])["Subnets"][0]["VpcId"]
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    tables = ec2.describe_route_tables(Filters=inside)["RouteTables"]
    if any(_leads_out(_table(tables, subnet)) for subnet in subnets):
        return Reach()
    services = {each["ServiceName"] for each in ec2.describe_vpc_endpoints(Filters=inside)["VpcEndpoints"]}
    pulls = {f"com.amazonaws.{region}.{name}" for name in ("ecr.api", "ecr.dkr", "s3")} <= services
    return Reach(closed=True, inside=(f"{ECR}{region}[.]",) if pulls else ())


def _table(tables: list[dict[str, Any]], subnet: str) -> dict[str, Any]:
    """The subnet's route table, or else the VPC's main one."""
    main: dict[str, Any] = {}
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet:
                return table
            if association.get("Main"):
                main = table
    return main


def _leads_out(table: dict[str, Any]) -> bool:
    return any(
        route.get("DestinationCidrBlock") == "0.0.0.0/0" and route.get("State") != "blackhole"
        for route in table.get("Routes", [])
    )
