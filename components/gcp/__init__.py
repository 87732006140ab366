"""Components that run on Google Cloud, their arguments and the types that these use."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .buckets import GcsBucket as GcsBucket
    from .buckets import GcsBuckets as GcsBuckets
    from .buckets import GcsBucketsArgs as GcsBucketsArgs
    from .cluster import GkeCluster as GkeCluster
    from .cluster import GkeClusterArgs as GkeClusterArgs
    from .compute_class import GkeComputeClass as GkeComputeClass
    from .compute_class import GkeComputeClassArgs as GkeComputeClassArgs
    from .dashboards import GkeDashboards as GkeDashboards
    from .dashboards import GkeDashboardsArgs as GkeDashboardsArgs
    from .existing_network import GcpExistingNetwork as GcpExistingNetwork
    from .existing_network import GcpExistingNetworkArgs as GcpExistingNetworkArgs
    from .filestore import Filestore as Filestore
    from .filestore import FilestoreArgs as FilestoreArgs
    from .identity import WorkloadIdentity as WorkloadIdentity
    from .identity import WorkloadIdentityArgs as WorkloadIdentityArgs
    from .maintenance import Maintenance as Maintenance
    from .maintenance import MaintenanceExclusion as MaintenanceExclusion
    from .network import GcpNetwork as GcpNetwork
    from .network import GcpNetworkArgs as GcpNetworkArgs
    from .node_pool import GkeNodePool as GkeNodePool
    from .node_pool import GkeNodePoolArgs as GkeNodePoolArgs
    from .pool_spec import GkeNodePoolSpec as GkeNodePoolSpec
    from .pool_spec import GkeReservation as GkeReservation
    from .pool_spec import GkeUpgrade as GkeUpgrade
    from .pool_spec import HugePages as HugePages
    from .pool_spec import SecondaryBootDisk as SecondaryBootDisk
    from .services import GcpServices as GcpServices
    from .services import GcpServicesArgs as GcpServicesArgs
    from .storage import GcpStorage as GcpStorage
    from .storage import GcpStorageArgs as GcpStorageArgs
    from .team_access import GkeTeamAccess as GkeTeamAccess
    from .team_access import GkeTeamAccessArgs as GkeTeamAccessArgs
    from .team_identity import GkeTeamIdentity as GkeTeamIdentity
    from .team_identity import GkeTeamIdentityArgs as GkeTeamIdentityArgs
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
