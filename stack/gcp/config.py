"""What the file of a stack on Google Cloud may have, by section."""

from components.addons_spec import AddonsSpec
from components.arguments import Field, shape
from components.gcp.buckets import GcsBucketsArgs
from components.gcp.cluster import GkeClusterArgs
from components.gcp.existing_network import GcpExistingNetworkArgs
from components.gcp.filestore import FilestoreArgs
from components.gcp.maintenance import Maintenance
from components.gcp.network import GcpNetworkArgs
from components.gcp.pool_spec import GkeNodePoolSpec
from components.gcp.storage import GcpStorageArgs
from components.gcp.team_identity import GkeTeamIdentityArgs

from .. import config

_EXISTING = shape(GcpExistingNetworkArgs).only(
    "network", "subnetwork", "host_project", "pods_range", "services_range", "further_pods_ranges", "grant"
)
NETWORK = (
    shape(GcpNetworkArgs)
    .only("cidr", "zones", "nat", "pods_cidr", "services_cidr", "further_pods_cidrs", "flow_log_percent")
    .plus(Field("existing", _EXISTING, False, "An existing VPC, by the names that `gcloud` shows. Default: a new VPC."))
)
_ARGUMENTS = shape(GkeClusterArgs)
CLUSTER = config.cluster(
    _ARGUMENTS.only(
        "cluster_name",
        "version",
        "public_access_cidrs",
        "private_access_cidrs",
        "dns_endpoint",
        "release_channel",
        "secrets_key",
        "disks_key",
        "pods_per_node",
        "log_types",
        "metric_types",
        "managed_dcgm",
        "autoscaling_profile",
        "gateway_api",
        "dns",
        "binary_authorization",
        "groups_domain",
    ),
    Field(
        "location",
        str,
        False,
        "A zone, for one control plane in it. Default: the region, with a control plane in each of its zones.",
    ),
    config.section("maintenance", shape(Maintenance), _ARGUMENTS.fields["maintenance"].doc),
)
_FILESTORE = shape(FilestoreArgs).only("namespace", "claim", "tier", "size_gib", "zone")
STORAGE = (
    shape(GcpStorageArgs)
    .only("filestore_tier", "filestore_multishare")
    .plus(
        Field("filestore", _FILESTORE, False, "A Filestore file system for all pods. Default: none."),
        Field("buckets", shape(GcsBucketsArgs).fields["buckets"].hint, False, "Buckets as volumes, by name."),
    )
)
_STATE_METRICS = Field(
    "state_metrics",
    bool,
    False,
    "Install a complete kube-state-metrics. With it there are alerts about containers out of memory, pending pods, "
    "spot and reservations, and series and costs by pool and team. Google bills each sample: once a minute for about "
    "20 series of each pod. It needs `helm` on the machine that runs Pulumi. Default: `false`.",
)
CONFIG = config.config(
    network=NETWORK,
    cluster=CLUSTER,
    node_pool=shape(GkeNodePoolSpec),
    storage=STORAGE,
    team=config.team(shape(GkeTeamIdentityArgs).fields["roles"]),
    addons=shape(AddonsSpec).plus(_STATE_METRICS),
)
