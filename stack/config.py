"""The stack's config: what may stand in `Pulumi.<stack>.yaml` on both clouds, as types.

`aws/config.py` and `gcp/config.py` add what only one cloud has. Keys are camelCase in the file and snake_case here.
Every top-level key is declared in `Pulumi.yaml` as well, which `tests/structure` holds against these models. Nothing
here asks a cloud; what the values mean stands with the library's arguments of the same names.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A part of the config: frozen, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class Taint(Section):
    """A taint, in Kubernetes' spelling."""

    key: str
    value: str = ""
    effect: str


class Accelerator(Section):
    """The GPU that a pool is for."""

    type: str
    count: int | None = None


class NodePool(Section):
    """One node pool; see `components/pools.py`."""

    machine_types: list[str]
    min: int
    max: int
    was: str = ""
    labels: dict[str, str] = {}
    taints: list[Taint] = []
    capacity: list[str] = ["on_demand"]
    zones: list[str] = []
    per_zone: bool = False
    disk_gib: int | None = None
    scratch: bool | None = None
    interconnect: bool = False
    placement: bool | None = None
    accelerator: Accelerator | None = None
    accept_withdrawn: bool = False


class Network(Section):
    """The network."""

    cidr: str = "10.0.0.0/16"
    zones: list[str]
    nat: str = "single"
    pods_cidr: str | None = None


class Cluster(Section):
    """The cluster."""

    name: str | None = None
    version: str | None = None
    public_access_cidrs: list[str] = []


class Storage(Section):
    """Volumes."""


class Addons(Section):
    """What is installed in the cluster on either cloud."""

    alerts: bool = True
    cleanup: bool = True


class Charts(Section):
    """Where Helm charts come from; see `components/charts/release.py` and docs/air-gapped.md."""

    mirror: str = ""
    digests: dict[str, str] = {}


class Images(Section):
    """Where container images come from; see `components/images.py` and docs/air-gapped.md."""

    registry: str = ""
    prefixes: dict[str, str] = {}
    digests: dict[str, str] = {}


class Config(Section):
    """Everything under `gpuyard:` in a stack's file."""

    cloud: Literal["aws", "gcp"] = "aws"
    network: Network
    cluster: Cluster = Cluster()
    node_pools: Mapping[str, NodePool] = Field(min_length=1)
    storage: Storage = Storage()
    addons: Addons = Addons()
    charts: Charts = Charts()
    images: Images = Images()
    deletion_protection: bool = True
    tags: dict[str, str] = {}
