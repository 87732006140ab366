"""gpuyard: Pulumi components for ML-ready Kubernetes on Amazon EKS and Google GKE.

A component, its arguments and the types that they use are exported by one package each:

    from gpuyard.aws import EksCluster, EksNodePool            # Amazon EKS
    from gpuyard.gcp import GkeCluster, GkeNodePool            # Google GKE
    from gpuyard.monitoring import Alerts, Monitoring          # either cloud
    from gpuyard.sharing import Kueue, Queues                  # either cloud
    from gpuyard.cleanup import ClusterCleanup                 # either cloud
    from gpuyard import NodePoolSpec, Taint                    # types that several of them use

Inside this repository the package is called `components`. A name is loaded at its first use: importing `gpuyard`, or
the package of one cloud, never loads the SDK of the other.
"""

from typing import TYPE_CHECKING

from .exports import lazy

__version__ = "0.2.0"
"""Version of the library, as in CHANGELOG.md. `pyproject.toml` reads it from here."""

if TYPE_CHECKING:
    from .charts.images import ImagesArgs as ImagesArgs
    from .charts.source import ChartsArgs as ChartsArgs
    from .cluster_pools import ClusterPool as ClusterPool
    from .hardware import MachineFacts as MachineFacts
    from .pool_spec import Accelerator as Accelerator
    from .pool_spec import GpuSharing as GpuSharing
    from .pool_spec import NodePoolSpec as NodePoolSpec
    from .reservations import ReservationTerms as ReservationTerms
    from .taints import Taint as Taint
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
