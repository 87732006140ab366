"""The differences between the clouds for modules that both share: one row for each cloud. Code elsewhere reads the row
instead of comparing the cloud's name."""

from collections.abc import Mapping
from dataclasses import dataclass

AWS = "aws"
GCP = "gcp"
_HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True)
class Cloud:
    """A cloud, with the facts that pools and machine types need."""

    name: str
    """Key of the cloud in configs and tables."""
    kubernetes: str
    """Its managed Kubernetes."""
    machines_of: str
    """Name of the service whose machine types its table lists, for messages."""
    capacity_types: tuple[str, ...]
    """Capacity types that the rungs of a pool's ladder can have."""
    several_machine_types: bool
    """Whether one group of nodes may have machines of several types."""
    gpu_taint_value: str
    """Value of the taint `nvidia.com/gpu` on GPU nodes. GKE adds `present`, which conflicts with any other value."""
    accelerator_label: str
    """Label with which the autoscaler recognizes a node whose GPU is not ready yet; empty if the cloud sets its own."""
    ladder_label: str
    """Label and taint from which the autoscaler reads the order of a ladder's rungs; empty if it reads their names."""
    interconnect: str
    """Value of the interconnect label: the kind of interface that a pool with `interconnect` has."""
    interconnect_name: str
    """The cloud's name for these interfaces."""
    placement_name: str
    """The cloud's name for placing nodes close together."""
    attachable: str
    """Prefix of machine types to which GPUs are attached; empty if GPUs are always part of a type."""
    gpu_example: str
    """A machine type with one GPU, for messages."""
    region_example: str
    """A region, for messages."""
    topology: str
    """Name of the Topology, Kueue's description of the network between nodes."""
    topology_labels: tuple[str, ...]
    """Labels that say where in the network a node is, from the widest level to the node."""
    identity_addresses: Mapping[str, tuple[int, ...]]
    """Networks and TCP ports of the service on each node from which pods get the permissions of their service
    account."""
    dns_addresses: tuple[str, ...] = ()
    """Networks of DNS servers of the cloud on each node."""


CLOUDS = {
    cloud.name: cloud
    for cloud in (
        Cloud(
            name=AWS,
            kubernetes="EKS",
            machines_of="EC2",
            capacity_types=("reserved", "spot", "on_demand"),
            several_machine_types=True,
            gpu_taint_value="true",
            # The Cluster Autoscaler treats a node with this label as unready until its GPU appears, so it does not add
            # a second node while the device plugin starts (cluster-autoscaler/cloudprovider/aws, GPULabel;
            # autoscaler#3164).
            accelerator_label="k8s.amazonaws.com/accelerator",
            ladder_label="",
            interconnect="efa",
            interconnect_name="EFA",
            placement_name="cluster placement group",
            attachable="",
            gpu_example="g6.2xlarge",
            region_example="us-east-1",
            topology="eks-network",
            # EKS user guide, "Amazon EC2 instance topology": labels of nodes of the types that have the API.
            topology_labels=(*(f"topology.k8s.aws/network-node-layer-{n}" for n in (1, 2, 3)), _HOSTNAME),
            # EKS user guide, "Set up the Amazon EKS Pod Identity Agent". The node's metadata (169.254.169.254) is not
            # among them.
            identity_addresses={"169.254.170.23/32": (80,)},
        ),
        Cloud(
            name=GCP,
            kubernetes="GKE",
            machines_of="Google Cloud",
            capacity_types=("reserved", "flex", "spot", "on_demand"),
            several_machine_types=False,
            gpu_taint_value="present",
            accelerator_label="",
            ladder_label="cloud.google.com/compute-class",
            interconnect="gpudirect",
            interconnect_name="GPUDirect",
            placement_name="compact placement",
            attachable="n1-",
            gpu_example="g2-standard-8",
            region_example="us-central1",
            topology="gke-network",
            # GKE, "Schedule GKE workloads with Topology Aware Scheduling".
            topology_labels=(*(f"cloud.google.com/gce-topology-{n}" for n in ("block", "subblock", "host")), _HOSTNAME),
            # GKE, "About Workload Identity Federation for GKE", under network policies: the first with Dataplane V2,
            # the second without it. GKE's metadata server answers there instead of the node's own.
            identity_addresses={"169.254.169.254/32": (80, 8080), "169.254.169.252/32": (987, 988)},
            # Cloud DNS (`dns: cloud_dns`).
            dns_addresses=("169.254.169.254/32",),
        ),
    )
}
