"""What the config of an environment on Google Cloud has beside the common part; see `config.py`."""

from collections.abc import Mapping

from pydantic import Field

from ..config import Cluster, Config, Network, NodePool, Section, Storage


class GkeReservation(Section):
    """Capacity that is reserved for a pool."""

    name: str
    project: str | None = None
    block: str | None = None
    sub_block: str | None = None


class HugePages(Section):
    """Pages that a node sets aside."""

    two_mib: int = 0
    one_gib: int = 0


class SecondaryBootDisk(Section):
    """Images or data that are on a node when it boots."""

    image: str
    mode: str = "container_images"


class GpuSharing(Section):
    """Several pods on one GPU."""

    strategy: str
    clients: int


class GkeUpgrade(Section):
    """How nodes are renewed."""

    strategy: str = "surge"
    max_surge: int | None = None
    max_unavailable: int | None = None
    batch_percentage: int | None = None
    batch_soak_seconds: int | None = None
    soak_seconds: int | None = None


class GkeNodePool(NodePool):
    """One node pool on GKE; see `components/gcp/pool_spec.py`."""

    disk_type: str | None = None
    local_ssds: int | None = None
    driver: str | None = None
    partition: str | None = None
    sharing: GpuSharing | None = None
    reservation: GkeReservation | None = None
    queued: bool = False
    max_run_seconds: int | None = None
    placement_policy: str | None = None
    spot_grace_seconds: int | None = None
    upgrade: GkeUpgrade | None = None
    node_repair: bool | None = None
    image_streaming: bool = True
    pods_per_node: int | None = None
    pods_range: str | None = None
    sysctls: dict[str, str] = {}
    huge_pages: HugePages | None = None
    cpu_manager: str = "none"
    secondary_boot_disk: SecondaryBootDisk | None = None


class ExistingNetwork(Section):
    """A VPC of somebody else's, of this project or shared by another: names, as `gcloud` shows them."""

    network: str
    subnetwork: str
    host_project: str | None = None
    pods_range: str = "pods"
    services_range: str = "services"
    further_pods_ranges: list[str] = []
    grant: bool = False


class GcpNetwork(Network):
    """The network on Google Cloud; see `components/gcp/network.py` and, for `existing`, `existing_network.py`."""

    services_cidr: str | None = None
    further_pods_cidrs: dict[str, str] = {}
    flow_log_percent: int = 0
    existing: ExistingNetwork | None = None


class Rest(Section):
    """A time without upgrades."""

    first: str
    last: str
    scope: str = "all"


class Maintenance(Section):
    """When GKE may upgrade; see `components/gcp/maintenance.py`."""

    days: list[str] = ["SA", "SU"]
    start: str = "02:00"
    hours: int = 6
    hold: str = "nodes"
    rests: dict[str, Rest] = {}


class GkeCluster(Cluster):
    """The cluster on GKE; see `components/gcp/cluster.py`."""

    location: str | None = None
    pods_per_node: int | None = None
    private_access_cidrs: list[str] = []
    dns_endpoint: bool = False
    release_channel: str | None = None
    maintenance: Maintenance = Maintenance()
    secrets_key: str = ""
    disks_key: str = ""
    log_types: list[str] | None = None
    metric_types: list[str] | None = None
    managed_dcgm: bool = True
    autoscaling_profile: str | None = None
    gateway_api: str | None = None
    dns: str | None = None
    binary_authorization: bool = False
    groups_domain: str = ""


class Filestore(Section):
    """A file system for all pods; see `components/gcp/filestore.py`."""

    namespace: str
    claim: str = "filestore"
    tier: str = "zonal"
    size_gib: int = 1024
    zone: str | None = None


class Bucket(Section):
    """A Cloud Storage bucket as a volume; see `components/gcp/buckets.py`."""

    bucket: str
    namespace: str
    prefix: str = ""
    writable: bool = False
    service_account: str = ""
    claim: str | None = None
    host_network: bool = False


class GcpStorage(Storage):
    """Volumes on Google Cloud; see `components/gcp/storage.py`."""

    filestore_tier: str | None = None
    filestore_multishare: bool = False
    filestore: Filestore | None = None
    buckets: dict[str, Bucket] = {}


class GcpConfig(Config):
    """Everything under `gpuyard:` in the file of a stack on Google Cloud."""

    network: GcpNetwork
    cluster: GkeCluster = GkeCluster()
    node_pools: Mapping[str, GkeNodePool] = Field(min_length=1)
    storage: GcpStorage = GcpStorage()
