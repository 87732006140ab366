"""Components that run on Amazon Web Services, their arguments and the types that these use."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .access import Access as Access
    from .addon import EksAddon as EksAddon
    from .addon import EksAddonArgs as EksAddonArgs
    from .addons import ClusterFacts as ClusterFacts
    from .addons_spec import EksAddonsSpec as EksAddonsSpec
    from .buckets import S3Bucket as S3Bucket
    from .buckets import S3Buckets as S3Buckets
    from .buckets import S3BucketsArgs as S3BucketsArgs
    from .cluster import EksCluster as EksCluster
    from .cluster import EksClusterArgs as EksClusterArgs
    from .cluster_autoscaler import ClusterAutoscaler as ClusterAutoscaler
    from .cluster_autoscaler import ClusterAutoscalerArgs as ClusterAutoscalerArgs
    from .dcgm_exporter import DcgmExporter as DcgmExporter
    from .dcgm_exporter import DcgmExporterArgs as DcgmExporterArgs
    from .device_plugin import NvidiaDevicePlugin as NvidiaDevicePlugin
    from .device_plugin import NvidiaDevicePluginArgs as NvidiaDevicePluginArgs
    from .efa_plugin import EfaDevicePlugin as EfaDevicePlugin
    from .efa_plugin import EfaDevicePluginArgs as EfaDevicePluginArgs
    from .existing_network import AwsExistingNetwork as AwsExistingNetwork
    from .existing_network import AwsExistingNetworkArgs as AwsExistingNetworkArgs
    from .identity import PodIdentity as PodIdentity
    from .identity import PodIdentityArgs as PodIdentityArgs
    from .installation import install_addons as install_addons
    from .lustre import FsxLustre as FsxLustre
    from .lustre import FsxLustreArgs as FsxLustreArgs
    from .network import AwsNetwork as AwsNetwork
    from .network import AwsNetworkArgs as AwsNetworkArgs
    from .node_pool import EksNodePool as EksNodePool
    from .node_pool import EksNodePoolArgs as EksNodePoolArgs
    from .node_repair import EksNodeRepair as EksNodeRepair
    from .pool_spec import EksNodePoolSpec as EksNodePoolSpec
    from .pool_spec import EksReservation as EksReservation
    from .roles import Roles as Roles
    from .storage import AwsStorage as AwsStorage
    from .storage import AwsStorageArgs as AwsStorageArgs
    from .team_access import EksTeamAccess as EksTeamAccess
    from .team_access import EksTeamAccessArgs as EksTeamAccessArgs
    from .team_identity import EksTeamIdentity as EksTeamIdentity
    from .team_identity import EksTeamIdentityArgs as EksTeamIdentityArgs
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
