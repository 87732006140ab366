"""What `Pulumi.<stack>.yaml` may have under `gpuyard:` on both clouds, built from the arguments of the library.

`aws/config.py` and `gcp/config.py` list the arguments of their components that the file sets. Keys are camelCase in the
file and snake_case here. Pulumi.yaml is generated from these shapes.
"""

from typing import TypedDict

from typing_extensions import NotRequired

from components.arguments import Field, Shape, shape
from components.charts.images import ImagesArgs
from components.charts.source import ChartsArgs
from components.clouds import AWS, CLOUDS
from components.sharing.queues import QueuesArgs
from components.sharing.team_queue import TeamQueue
from components.sharing.team_spec import TeamSpec

from .platforms_spec import PlatformsSpec

KEYS = (
    "cloud", "network", "cluster", "node_pools", "storage", "teams", "queues", "addons", "platforms", "charts",
    "images", "deletion_protection", "tags",
)  # fmt: skip
"""The keys under `gpuyard:`, which are the same on every cloud. Known without a cloud's SDK."""


class TeamRole(TypedDict):
    """Permissions in the cloud of the pods that run as a team's service account."""

    buckets: NotRequired[list[str]]
    """Names of volumes of `storage.buckets` whose objects pods may read, and write if the volume is writable, without
    the volume. Default: none."""


class QueueSettings(TypedDict):
    """Queues of the teams."""

    enabled: NotRequired[bool]
    """Whether jobs of teams wait in queues with quotas that follow from the pools. Needs a team. Default: `true`."""
    headroom: NotRequired[dict[str, int]]
    """Pool → nodes of it that are ready and free, for model servers that start in seconds. Default: `{}`."""
    hold_minutes: NotRequired[int]
    """How long running jobs may take to finish before a change replaces the nodes of their pool, in minutes, 0 to 1440.
    Default: `60`."""
    pods_ready_minutes: NotRequired[int]
    """How long an admitted job may wait until all its pods are ready, in minutes, 1 to 1440. Default: by the pools'
    machine types and ladders, 8 to 30."""


QUEUES = shape(QueueSettings).plus(*shape(QueuesArgs).only("unqueued", "topology").fields.values())


def team(permissions: Field) -> Shape:
    """A team of the section `teams`. `permissions`: the field with further permissions, which the cloud names."""
    role = shape(TeamRole).plus(permissions)
    share = shape(TeamQueue).fields.values()
    return shape(TeamSpec).plus(*share, Field("role", role, False, f"{role.doc} Default: none."))


def cluster(arguments: Shape, *further: Field) -> Shape:
    """The section `cluster`. `arguments`: those that the file sets, including the cluster's physical name."""
    named = arguments.renamed(cluster_name="name")
    optional = Field("name", str, False, "Physical name of the cluster. Default: gpuyard-STACK.")
    version = Field("version", str, False, f"{named.fields['version'].doc} Default: the newest that gpuyard supports.")
    return named.plus(optional, version, *further)


def section(name: str, contents: Shape, doc: str) -> Field:
    """A section that always exists: if the file omits it, every field has its default."""
    return Field(name, contents, False, doc, {})


CLOUD = Field("cloud", str, False, f"Cloud of this environment: {' or '.join(CLOUDS)}. Default: `{AWS}`.")
"""The key `cloud`, which decides what the other keys are."""
_CLEANUP = Field(
    "cleanup",
    bool,
    False,
    "Delete the load balancers and volumes that Kubernetes created in the cloud, as the first step of a destroy. "
    "Without it they outlive the cluster. Default: `true`.",
)


def config(*, network: Shape, cluster: Shape, node_pool: Shape, storage: Shape, team: Shape, addons: Shape) -> Shape:
    """Everything under `gpuyard:` on one cloud."""
    fields = {
        each.name: each
        for each in (
            CLOUD,
            Field("network", network, True, "The network."),
            section("cluster", cluster, "The cluster."),
            Field("node_pools", dict[str, node_pool], True, "Node pools by name, one or more."),  # type: ignore[valid-type]
            section("storage", storage, "Volumes."),
            Field("teams", dict[str, team], False, "Teams that share the cluster, by name."),  # type: ignore[valid-type]
            section("queues", QUEUES, "Queues of the teams."),
            section("addons", addons.plus(_CLEANUP), "What is installed in the cluster."),
            section("platforms", shape(PlatformsSpec), "Platforms for training, pipelines and serving."),
            section("charts", shape(ChartsArgs), "Where Helm charts come from."),
            section("images", shape(ImagesArgs), "Where container images come from."),
            Field(
                "deletion_protection",
                bool,
                False,
                "Whether the clouds and Pulumi refuse to delete the cluster, its network and its file systems. "
                "Default: `true`.",
            ),
            Field(
                "tags",
                dict[str, str],
                False,
                "Tags (labels on Google Cloud) of everything that supports them, including nodes and volumes.",
            ),
        )
    }
    return Shape("Config", {name: fields[name] for name in KEYS})
