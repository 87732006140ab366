"""A stack as a Mermaid flowchart, which GitHub draws: what is in the region, what is in the VPC, who talks to whom.

Not everything: route tables, security groups, policies and tags would hide the rest. Roles stand in a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .facts import CAPACITY, Group, Stack

# fill, border; the text is dark on all of them, so that the picture reads on a light and on a dark page.
COLOURS = {
    "outside": ("#f4f4f5", "#71717a"),
    "control": ("#fde8d0", "#c2610c"),
    "addon": ("#fdf3d7", "#b7860b"),
    "cpu": ("#dbeafe", "#2563eb"),
    "gpu": ("#d9f2dc", "#15803d"),
    "net": ("#ede9fe", "#7c3aed"),
    "data": ("#fce0ec", "#be185d"),
}
TEXT = "#18181b"
# Labels are as wide as they are written, and arrows leave the titles of boxes readable.
SETTINGS = """%%{init: {"flowchart": {"wrappingWidth": 420, "nodeSpacing": 30, "rankSpacing": 45,
  "subGraphTitleMargin": {"top": 4, "bottom": 14}}}}%%"""
# What the charts are for; a chart that is not here is drawn with its name alone.
PURPOSES = {
    "cluster-autoscaler": "pending pods make nodes",
    "nvidia-device-plugin": "shows GPUs to the scheduler",
    "aws-efa-k8s-device-plugin": "shows EFA to the scheduler",
    "dcgm-exporter": "GPU metrics",
    "kube-prometheus-stack": "metrics, alerts",
}


@dataclass(frozen=True)
class Releases:
    """Charts in one box. `selector`: of the nodes that they run on, empty for those that do not choose."""

    charts: list[str]
    selector: dict[str, str]

    @property
    def id(self) -> str:
        return self.charts[0]


def mermaid(stack: Stack) -> str:
    """The flowchart of a stack."""
    return "\n".join([SETTINGS, "flowchart TB", *(f"  {line}" for line in _lines(stack))])


def _lines(stack: Stack) -> Iterator[str]:
    yield _node("people", "people and CI<br>kubectl, pulumi", "outside", "([", "])")
    yield f'subgraph region["AWS, {stack.region}"]'
    yield from _indented(_control_plane(stack))
    yield from _indented(_vpc(stack))
    yield from _indented(_data(stack))
    yield "end"
    yield _node("internet", "internet", "outside", "([", "])")
    yield from _edges(stack)
    for name, (fill, border) in COLOURS.items():
        yield f"classDef {name} fill:{fill},stroke:{border},color:{TEXT}"
    yield "classDef box fill:none,stroke:#8b8b94"
    yield f"class {','.join(['region', 'eks', 'vpc', 'pools', 'data', *map(_id, stack.zones)])} box"


def _control_plane(stack: Stack) -> Iterator[str]:
    cluster = stack.cluster.inputs
    yield f'subgraph eks["EKS cluster {cluster["name"]}, Kubernetes {cluster["version"]}"]'
    reach = "public and private" if cluster["vpcConfig"]["endpointPublicAccess"] else "private"
    facts = [f"{reach} endpoint"]
    if cluster.get("encryptionConfig"):
        facts.append("secrets encrypted by KMS")
    if cluster.get("enabledClusterLogTypes"):
        facts.append("logs in CloudWatch")
    yield "  " + _node("api", "<b>API server</b><br>" + "<br>".join(facts), "control")
    yield "  " + _node("addons", "<b>add-ons of EKS</b><br>" + "<br>".join(_wrapped(stack.addons, 2)), "addon")
    releases = _releases(stack)
    for box in releases:
        lines = [
            f"<b>{chart}</b><br>{PURPOSES[chart]}" if chart in PURPOSES else f"<b>{chart}</b>" for chart in box.charts
        ]
        yield "  " + _node(box.id, "<br>".join(lines), "addon")
    yield f"  api ~~~ {' & '.join(['addons', *(_id(box.id) for box in releases)])}"
    yield "end"


def _releases(stack: Stack) -> list[Releases]:
    """Helm releases; DaemonSets of the same nodes are one box."""
    boxes: list[Releases] = []
    for release in stack.all("Release"):
        chart, selector = release.inputs["chart"], release.inputs["values"].get("nodeSelector", {})
        if selector and (same := next((box for box in boxes if box.selector == selector), None)):
            same.charts.append(chart)
        else:
            boxes.append(Releases([chart], selector))
    return boxes


def _vpc(stack: Stack) -> Iterator[str]:
    cidrs = [found.inputs["cidrBlock"] for found in (*stack.all("Vpc"), *stack.all("VpcIpv4CidrBlockAssociation"))]
    yield f'subgraph vpc["VPC {" + ".join(cidrs)}"]'
    yield '  subgraph pools["node pools, in the private subnets"]'
    for group in stack.groups:
        yield "    " + _node(group.name, _group(group), "gpu" if group.gpus else "cpu")
    yield "  end"
    # Declared last, the first zone of the example comes out on the left.
    for zone in reversed(stack.zones):
        yield f'  subgraph {_id(zone)}["{zone}"]'
        for kind in ("private", "pods", "public"):
            if subnet := stack.in_zone(zone, kind):
                gateway = "<br><b>NAT gateway</b>" if kind == "public" and zone in stack.nat_zones else ""
                yield "    " + _node(f"{kind}-{zone}", f"{kind} subnet<br>{subnet.cidr}{gateway}", "net")
        yield "  end"
    yield "  " + _node("endpoints", f"<b>endpoints</b><br>{'<br>'.join(_wrapped(stack.endpoints))}", "net")
    yield "end"


def _group(group: Group) -> str:
    lines = [f"<b>{group.name}</b>", group.types, group.gpus, f"{group.efa} × EFA" if group.efa else ""]
    lines.append(f"{group.min}..{group.max} nodes, {'capacity block' if group.block else CAPACITY[group.capacity]}")
    return "<br>".join(line for line in lines if line)


def _data(stack: Stack) -> Iterator[str]:
    yield 'subgraph data["volumes"]'
    for id, label in _volumes(stack).items():
        yield "  " + _node(id, label, "data", "[(", ")]")
    yield "end"


def _volumes(stack: Stack) -> dict[str, str]:
    """What pods mount: id → label."""
    found: dict[str, str] = {}
    for id, name, driver in (("ebs", "EBS", "ebs.csi.aws.com"), ("efs", "EFS", "efs.csi.aws.com")):
        if classes := stack.classes(driver):
            found[id] = f"<b>{name}</b><br>{'class' if len(classes) == 1 else 'classes'} {', '.join(classes)}"
    if lustre := stack.volumes("fsx.csi.aws.com"):
        found["lustre"] = f"<b>FSx for Lustre</b><br>volume {', '.join(lustre)}"
    if buckets := stack.volumes("s3.csi.aws.com"):
        found["buckets"] = f"<b>S3 buckets</b><br>{', '.join(buckets)}"
    return found


def _edges(stack: Stack) -> Iterator[str]:
    access = stack.cluster.inputs["vpcConfig"]
    cidrs = ", ".join(access.get("publicAccessCidrs") or [])
    yield f'people -->|"{f"from {cidrs}" if access["endpointPublicAccess"] else "inside the VPC"}"| api'
    yield "api <--> pools"
    for box in _releases(stack):
        if "cluster-autoscaler" in box.charts:
            yield f"{_id(box.id)} -->|resizes| pools"
        for group in stack.groups:
            if box.selector and box.selector.items() <= group.labels.items():
                yield f"{_id(box.id)} --> {_id(group.name)}"
    for zone in stack.zones:
        chain = [_id(f"{kind}-{zone}") for kind in ("private", "pods", "public") if stack.in_zone(zone, kind)]
        # An invisible line puts a zone's subnets below each other.
        yield f"pools --- {' ~~~ '.join(chain)}"
        private = stack.in_zone(zone, "private")
        if private and (nat := stack.nat_of(private)):
            yield f"{_id(f'private-{zone}')} --> {_id(f'public-{nat}')}"
    yield "pools --> endpoints"
    for zone in stack.nat_zones:
        yield f"{_id(f'public-{zone}')} --> internet"
    for id in _volumes(stack):
        yield f"pools --> {id}"


def _node(id: str, label: str, kind: str, opening: str = "[", closing: str = "]") -> str:
    return f'{_id(id)}{opening}"{label}"{closing}:::{kind}'


def _id(name: str) -> str:
    """Mermaid takes no blank or dot in an id, and reads some of what follows a dash as an arrow."""
    return re.sub(r"\W", "_", name)


def _wrapped(words: list[str], width: int = 3) -> list[str]:
    return [", ".join(words[index : index + width]) for index in range(0, len(words), width)]


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
