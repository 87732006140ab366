"""What the config of an environment on AWS has beside the common part; see `config.py`."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from ..config import Addons, Cluster, Config, Network, NodePool, Section, Storage


class MachineFacts(Section):
    """A machine type that gpuyard does not know; see `components/hardware.py`."""

    vcpu: int
    memory_mib: int
    arch: str = "x86_64"
    gpus: int = 0
    gpu: str = ""
    gpu_memory_mib: int = 0
    nvme_gb: int = 0
    nvme_disks: int = 0
    efa: int = 0
    network_cards: int = 1
    max_pods: int = 110
    spot: bool = True
    capacity_block: bool = False
    cluster_placement: bool = True


class Reservation(Section):
    """Capacity that is reserved for a pool: one reservation, or a group of them."""

    id: str | None = None
    group_arn: str | None = None
    capacity_block: bool = False


class EksNodePool(NodePool):
    """One node pool on EKS; see `components/aws/pools.py`."""

    image: str = "al2023"
    release: str | None = None
    driver_branch: int | None = None
    reservation: Reservation | None = None
    update_percentage: int = 33
    node_repair: bool = True
    ami: str | None = None
    node_settings: dict[str, Any] = {}
    security_group_ids: list[str] = []
    machine: MachineFacts | None = None


class ExistingNetwork(Section):
    """A VPC of somebody else's: its id and, by zone, its subnets."""

    vpc_id: str
    private_subnet_ids: dict[str, str]
    public_subnet_ids: dict[str, str] = {}


class AwsNetwork(Network):
    """The network on AWS; see `components/aws/network.py` and, for `existing`, `existing_network.py`."""

    interface_endpoints: list[str] = []
    flow_log_days: int = 0
    existing: ExistingNetwork | None = None


class Access(Section):
    """Who may use the cluster's API, everywhere or in some namespaces."""

    principal_arn: str
    level: str
    namespaces: list[str] = []


class Roles(Section):
    """Ready-made roles by what takes them; see `components/aws/roles.py`."""

    cluster: str = ""
    nodes: str = ""
    flow_log: str = ""
    vpc_cni: str = ""
    ebs_csi: str = ""
    efs_csi: str = ""
    fsx_csi: str = ""
    s3_csi: str = ""
    cluster_autoscaler: str = ""


class Iam(Section):
    """What every role of the stack has, and roles that it does not make; see `aws_roles.py`."""

    path: str = "/"
    permissions_boundary: str = ""
    roles: Roles = Roles()


class EksCluster(Cluster):
    """The cluster on EKS; see `components/aws/cluster.py`."""

    private_access_cidrs: list[str] | None = None
    access: dict[str, Access] = {}
    iam: Iam = Iam()
    log_types: list[str] | None = None
    log_days: int = 90
    addon_versions: dict[str, str] = {}
    support: str = "standard"
    service_cidr: str | None = None
    node_policy_arns: list[str] = []


class Lustre(Section):
    """A file system for data sets; see `components/aws/lustre.py`."""

    zone: str
    size_gib: int = 1200
    throughput: int = 125
    s3: str = ""
    exports: list[str] = []
    namespace: str = ""


class Bucket(Section):
    """An S3 bucket as a volume; see `components/aws/buckets.py`."""

    bucket: str
    prefix: str = ""
    writable: bool = False
    namespace: str = ""
    account: str = ""


class AwsStorage(Storage):
    """Volumes on AWS; see `components/aws/storage.py`."""

    backups: bool = False
    lustre: Lustre | None = None
    buckets: dict[str, Bucket] = {}


class EksAddons(Addons):
    """What is installed on EKS; GKE runs its own of all but `alerts` and `cleanup`."""

    device_plugin: bool = True
    efa_plugin: bool = True
    cluster_autoscaler: bool = True
    scale_down_after_minutes: int = Field(default=10, ge=1, le=1440)
    dcgm_exporter: bool = True
    monitoring: bool = True


class AwsConfig(Config):
    """Everything under `gpuyard:` in the file of a stack on AWS."""

    network: AwsNetwork
    cluster: EksCluster = EksCluster()
    node_pools: Mapping[str, EksNodePool] = Field(min_length=1)
    storage: AwsStorage = AwsStorage()
    addons: EksAddons = EksAddons()
