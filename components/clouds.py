"""In what the clouds differ for the parts that both share: one row for each cloud, no branch on its name elsewhere."""

from dataclasses import dataclass

AWS = "aws"
GCP = "gcp"


@dataclass(frozen=True)
class Cloud:
    """A cloud, as far as pools and machine types ask for it."""

    name: str
    """Key of the cloud in configs and tables."""
    kubernetes: str
    """Its managed Kubernetes."""
    machines_of: str
    """Whose machine types its tables hold, as a person names it."""
    capacity_types: tuple[str, ...]
    """Capacity types that the rungs of a pool's ladder can have."""
    several_machine_types: bool
    """Whether one group of nodes may have machines of several types."""
    gpu_taint_value: str
    """Value of the taint `nvidia.com/gpu` on GPU nodes. GKE adds its own, `present`, which collides with any other."""
    accelerator_label: str
    """Label by which the autoscaler knows that a node's GPU is still to come; empty where the cloud sets its own."""
    ladder_label: str
    """Label and taint by which the autoscaler reads the order of a ladder's rungs; empty where it reads their names."""
    interconnect: str
    """Value of the interconnect label: which interfaces a pool with `interconnect` has."""
    interconnect_name: str
    """The same as its cloud calls it."""
    placement_name: str
    """What the cloud calls nodes that are placed close together."""
    attachable: str
    """Prefix of machine types to which GPUs are attached; empty where GPUs are part of a type."""
    gpu_example: str
    """A machine type with one GPU, for messages."""
    region_example: str
    """A region, for messages."""


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
            # The Cluster Autoscaler regards a node with this label as unready until its GPU shows, and orders no
            # second one while the device plugin starts (cluster-autoscaler/cloudprovider/aws, GPULabel;
            # autoscaler#3164).
            accelerator_label="k8s.amazonaws.com/accelerator",
            ladder_label="",
            interconnect="efa",
            interconnect_name="EFA",
            placement_name="cluster placement group",
            attachable="",
            gpu_example="g6.2xlarge",
            region_example="us-east-1",
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
        ),
    )
}
