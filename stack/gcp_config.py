"""What the config of an environment on Google Cloud has beside the common part; see `config.py`."""

from .config import Cluster, Config, Network, Storage


class GcpNetwork(Network):
    """The network on Google Cloud; see `components/gcp/network.py`."""

    services_cidr: str | None = None


class GkeCluster(Cluster):
    """The cluster on GKE; see `components/gcp/cluster.py`."""

    release_channel: str | None = None


class GcpStorage(Storage):
    """Volumes on Google Cloud; see `components/gcp/storage.py`."""

    filestore_tier: str | None = None


class GcpConfig(Config):
    """Everything under `gpuyard:` in the file of a stack on Google Cloud."""

    network: GcpNetwork
    cluster: GkeCluster = GkeCluster()
    storage: GcpStorage = GcpStorage()
