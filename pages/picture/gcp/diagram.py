"""A stack on Google Cloud as a picture: the parts in the region and in the VPC, and the connections."""

from __future__ import annotations

from collections.abc import Iterator

from ..drawing import box, classes, described, flowchart, node, pools, ref, volumes, wrapped
from .facts import DISKS, FILES, OBJECTS, Stack


def mermaid(stack: Stack) -> str:
    """The flowchart of a stack."""
    cluster = stack.cluster.inputs
    title = f"GKE cluster {cluster['name']}, Kubernetes {cluster['minMasterVersion']}"
    inside = [
        *box("gke", f"{title}, channel {cluster['releaseChannel']['channel']}", _control_plane(stack)),
        *_vpc(stack),
        *volumes(_volumes(stack)),
    ]
    return flowchart(f"Google Cloud, {stack.region}", inside, "<br>".join(stack.access_paths), _edges(stack))


def _control_plane(stack: Stack) -> Iterator[str]:
    cluster = stack.cluster.inputs
    facts = [
        "three, in three zones" if stack.regional else f"in {cluster['location']}",
        "public and private endpoint" if stack.public else "private endpoint",
        "secrets encrypted by Cloud KMS" if stack.secrets_key else "",
        f"upgrades held: {stack.hold}" if stack.hold != "nothing" else "",
    ]
    yield node("api", described("API server", *facts), "control")
    brought = ["autoscaler", "device plugin", "GPU drivers", *stack.managed]
    yield node("google", described("run by GKE", wrapped(brought), f"drivers: {wrapped(stack.drivers, 2)}"), "addon")
    below = ["google", *(f"class-{name}" for name in stack.ladders)]
    for name in stack.ladders:
        yield node(f"class-{name}", described(f"compute class {name}", "orders the rungs"), "addon")
    if stack.all("ClusterRules"):
        below.append("alerts")
        yield node("alerts", described("alert rules", "for managed Prometheus"), "addon")
    yield f"api ~~~ {' & '.join(map(ref, below))}"


def _vpc(stack: Stack) -> Iterator[str]:
    inside = [*pools("node pools, private addresses only", stack)]
    ranges = [f"{name} {cidr}" for name, cidr in stack.ranges.items()]
    google = "Private Google Access" if stack.google_access else ""
    inside.append(node("subnetwork", described("subnetwork", *ranges, google), "net"))
    if stack.all("RouterNat"):
        inside.append(node("nat", described("Cloud NAT", "one for the region"), "net"))
    yield from box("vpc", "VPC" if ranges else "an existing VPC", inside)


def _volumes(stack: Stack) -> dict[str, str]:
    """Volumes that pods mount: id → label."""
    found: dict[str, str] = {}
    for name, kind, driver in (("disks", "disks", DISKS), ("files", "Filestore", FILES)):
        if names := stack.classes(driver):
            found[name] = classes(kind, names)
    if instance := stack.volumes(FILES):
        found["filestore"] = described("Filestore", f"volume {', '.join(instance)}")
    if buckets := stack.volumes(OBJECTS):
        found["buckets"] = described("Cloud Storage", ", ".join(buckets))
    return found


def _edges(stack: Stack) -> Iterator[str]:
    yield "google -->|resizes| pools"
    for name, groups in stack.ladders.items():
        for place, group in enumerate(groups, 1):
            yield f"{ref(f'class-{name}')} -->|{place}| {ref(group)}"
    yield "pools --- subnetwork"
    if stack.google_access:
        yield node("google-apis", "Google's APIs<br>registries, buckets", "outside", "([", "])")
        yield f"subnetwork --> {ref('google-apis')}"
    if stack.all("RouterNat"):
        yield "subnetwork --> nat --> internet"
    for name in _volumes(stack):
        yield f"pools --> {name}"
