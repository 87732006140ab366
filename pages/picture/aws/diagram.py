"""A stack on AWS as a picture: the parts in the region and in the VPC, and the connections. Roles are in a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from components.aws import addons as addon_table

from ..drawing import box, classes, described, flowchart, node, pools, ref, volumes, wrapped
from .facts import Stack


@dataclass(frozen=True)
class Releases:
    """Charts in one box. `selector`: node selector of their pods; empty for pods without one."""

    charts: list[str]
    selector: dict[str, str]

    @property
    def name(self) -> str:
        return self.charts[0]


def mermaid(stack: Stack) -> str:
    """The flowchart of a stack."""
    cluster, access = stack.cluster.inputs, stack.cluster.inputs["vpcConfig"]
    cidrs = ", ".join(access.get("publicAccessCidrs") or [])
    inside = [
        *box("eks", f"EKS cluster {cluster['name']}, Kubernetes {cluster['version']}", _control_plane(stack)),
        *_vpc(stack),
        *volumes(_volumes(stack)),
    ]
    access_path = f"from {cidrs}" if access["endpointPublicAccess"] else "inside the VPC"
    return flowchart(f"AWS, {stack.region}", inside, access_path, _edges(stack))


def _control_plane(stack: Stack) -> Iterator[str]:
    cluster = stack.cluster.inputs
    reach = "public and private" if cluster["vpcConfig"]["endpointPublicAccess"] else "private"
    facts = [f"{reach} endpoint"]
    if cluster.get("encryptionConfig"):
        facts.append("secrets encrypted by KMS")
    if cluster.get("enabledClusterLogTypes"):
        facts.append("logs in CloudWatch")
    yield node("api", described("API server", *facts), "control")
    yield node("addons", described("add-ons of EKS", wrapped(stack.addons, 2)), "addon")
    releases = _releases(stack)
    for found in releases:
        purposes = {row.chart.name: row.purpose for row in addon_table.ADDONS if row.chart}
        lines = [described(chart, purposes.get(chart, "")) for chart in found.charts]
        yield node(found.name, "<br>".join(lines), "addon")
    yield f"api ~~~ {' & '.join(['addons', *(ref(found.name) for found in releases)])}"


def _releases(stack: Stack) -> list[Releases]:
    """Helm releases; DaemonSets on the same nodes share a box."""
    boxes: list[Releases] = []
    for release in stack.all("Release"):
        chart, selector = release.inputs["chart"], release.inputs["values"].get("nodeSelector", {})
        if selector and (same := next((each for each in boxes if each.selector == selector), None)):
            same.charts.append(chart)
        else:
            boxes.append(Releases([chart], selector))
    return boxes


def _vpc(stack: Stack) -> Iterator[str]:
    cidrs = [found.inputs["cidrBlock"] for found in (*stack.all("Vpc"), *stack.all("VpcIpv4CidrBlockAssociation"))]
    inside = [*pools("node pools, in the private subnets", stack)]
    # The zone that is declared last is drawn on the left: this is the first zone of the example.
    for zone in reversed(stack.zones):
        inside += box(zone, zone, _subnets(stack, zone))
    inside.append(node("endpoints", described("endpoints", wrapped(stack.endpoints)), "net"))
    yield from box("vpc", f"VPC {' + '.join(cidrs)}", inside)


def _subnets(stack: Stack, zone: str) -> Iterator[str]:
    for kind in ("private", "pods", "public"):
        if subnet := stack.in_zone(zone, kind):
            gateway = "<br><b>NAT gateway</b>" if kind == "public" and zone in stack.nat_zones else ""
            yield node(f"{kind}-{zone}", f"{kind} subnet<br>{subnet.cidr}{gateway}", "net")


def _volumes(stack: Stack) -> dict[str, str]:
    """Volumes that pods mount: id → label."""
    found: dict[str, str] = {}
    for name, kind, driver in (("ebs", "EBS", "ebs.csi.aws.com"), ("efs", "EFS", "efs.csi.aws.com")):
        if names := stack.classes(driver):
            found[name] = classes(kind, names)
    if lustre := stack.volumes("fsx.csi.aws.com"):
        found["lustre"] = described("FSx for Lustre", f"volume {', '.join(lustre)}")
    if buckets := stack.volumes("s3.csi.aws.com"):
        found["buckets"] = described("S3 buckets", ", ".join(buckets))
    return found


def _edges(stack: Stack) -> Iterator[str]:
    for found in _releases(stack):
        if "cluster-autoscaler" in found.charts:
            yield f"{ref(found.name)} -->|resizes| pools"
        for group in stack.groups:
            if found.selector and found.selector.items() <= group.labels.items():
                yield f"{ref(found.name)} --> {ref(group.name)}"
    for zone in stack.zones:
        chain = [ref(f"{kind}-{zone}") for kind in ("private", "pods", "public") if stack.in_zone(zone, kind)]
        # An invisible line puts a zone's subnets below each other.
        yield f"pools --- {' ~~~ '.join(chain)}"
        private = stack.in_zone(zone, "private")
        if private and (nat := stack.nat_of(private)):
            yield f"{ref(f'private-{zone}')} --> {ref(f'public-{nat}')}"
    yield "pools --> endpoints"
    for zone in stack.nat_zones:
        yield f"{ref(f'public-{zone}')} --> internet"
    for name in _volumes(stack):
        yield f"pools --> {name}"
