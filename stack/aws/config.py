"""What the file of a stack on AWS may have, by section."""

from typing import TypedDict

from typing_extensions import NotRequired

from components.arguments import Field, shape
from components.aws.addons import EksAddonsSpec
from components.aws.buckets import S3BucketsArgs
from components.aws.cluster import EksClusterArgs
from components.aws.existing_network import AwsExistingNetworkArgs
from components.aws.lustre import FsxLustreArgs
from components.aws.network import AwsNetworkArgs
from components.aws.pool_spec import EksNodePoolSpec
from components.aws.roles import Roles
from components.aws.storage import AwsStorageArgs
from components.aws.team_identity import EksTeamIdentityArgs

from .. import config


class Iam(TypedDict):
    """IAM roles by the rules of your organization."""

    path: NotRequired[str]
    """Path of every role that the stack creates. Existing roles keep their path. Default: `/`."""
    permissions_boundary: NotRequired[str]
    """ARN of a policy that limits every role that the stack creates. Default: none."""
    roles: NotRequired[Roles]
    """ARNs of existing roles, which the stack then does not create. Default: none."""


LEAVE, RESTART, RESTART_AND_TAINT = "none", "restart", "restart_and_taint"
STALLED_JOBS = (LEAVE, RESTART, RESTART_AND_TAINT)
"""What may be done about stalled jobs, from nothing to most."""
_STALLED_JOBS = Field(
    "stalled_jobs",
    str,
    False,
    "What is done about a team's job whose GPUs are busy but move no data, because a peer has stopped: none; restart "
    "evicts the pod that has stopped, and its job starts another one; restart_and_taint also keeps new pods off its "
    "node, which the autoscaler then removes. It needs a team, `monitoring`, `alerts` and `dcgm_exporter`. Default: "
    "`none`.",
)

_EXISTING = (
    shape(AwsExistingNetworkArgs)
    .only("vpc_id", "private_subnet_ids", "public_subnet_ids")
    .documented(
        private_subnet_ids="Private subnets by zone, one in each of `zones`. Nodes run there, and need a route to "
        "AWS's services.",
        public_subnet_ids="Public subnets by zone, in some or all of `zones`, for load balancers that face the "
        "internet. Default: none.",
    )
)
NETWORK = (
    shape(AwsNetworkArgs)
    .only("cidr", "zones", "nat", "pods_cidr", "interface_endpoints", "flow_log_days")
    .plus(Field("existing", _EXISTING, False, "An existing VPC and its subnets by zone. Default: a new VPC."))
)
_IAM = shape(Iam).plus(config.section("roles", shape(Roles), shape(Iam).fields["roles"].doc))
_ARGUMENTS = shape(EksClusterArgs)
CLUSTER = config.cluster(
    _ARGUMENTS.only(
        "cluster_name",
        "version",
        "support",
        "public_access_cidrs",
        "private_access_cidrs",
        "access",
        "log_types",
        "log_days",
        "addon_versions",
        "service_cidr",
        "node_policy_arns",
    ).documented(
        private_access_cidrs=f"{_ARGUMENTS.fields['private_access_cidrs'].doc.partition(' Default:')[0]} Default: the "
        "range of the VPC if `public_access_cidrs` is empty, otherwise none."
    ),
    config.section("iam", _IAM, shape(Iam).doc),
)
_LUSTRE = shape(FsxLustreArgs).only("zone", "size_gib", "throughput", "s3", "exports", "namespace")
STORAGE = (
    shape(AwsStorageArgs)
    .only("backups")
    .documented(
        backups="Whether the file systems are backed up every day: EFS for 35 days; FSx for Lustre, if it has no "
        "bucket in `s3`, for 7 days. Default: `false`."
    )
    .plus(
        Field("lustre", _LUSTRE, False, "An FSx for Lustre file system for data sets. Default: none."),
        Field("buckets", shape(S3BucketsArgs).fields["buckets"].hint, False, "S3 buckets as volumes, by name."),
    )
)
CONFIG = config.config(
    network=NETWORK,
    cluster=CLUSTER,
    node_pool=shape(EksNodePoolSpec),
    storage=STORAGE,
    team=config.team(shape(EksTeamIdentityArgs).fields["policy_arns"]),
    addons=shape(EksAddonsSpec).plus(_STALLED_JOBS),
)
