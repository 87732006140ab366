"""The outputs of the stack. Names are the same on both clouds, so that scripts and other stacks work with either."""

from typing import Any

import pulumi
from pulumi.runtime.config import is_config_secret

from components.pools import resolve_all

from .changes import settings
from .deployed import SETTINGS
from .environment import PROJECT, Environment
from .section import Section


def export(environment: Environment, *, network: Any, cluster: Any, storage: Any, addons: Any, teams: Any) -> None:
    """Exports every output. The kubeconfig is secret; `pulumi stack output kubeconfig --show-secrets` prints it."""
    pulumi.export("cloud", environment.config.cloud)
    pulumi.export("region", environment.region)
    pulumi.export("networkId", network.network_id)
    pulumi.export("clusterName", cluster.cluster_name)
    pulumi.export("kubernetesVersion", cluster.kubernetes_version)
    pulumi.export("endpoint", cluster.endpoint)
    pulumi.export("kubeconfig", cluster.kubeconfig)
    pulumi.export("connectCommand", cluster.connect_command)
    pools, specs = _pools(environment), environment.config.node_pools
    pulumi.export("nodePools", _as_secret_as_pools({name: _pool(pool) for name, pool in pools.items()}))
    pulumi.export("nodePoolSpecs", _as_secret_as_pools({name: _spec(pool) for name, pool in specs.items()}))
    pulumi.export("storageClasses", storage.storage_class_names)
    pulumi.export("releases", dict(addons.releases))
    pulumi.export("teams", teams.outputs)
    # The next run compares its file with this one. Secret, because a value in the file may be.
    pulumi.export(SETTINGS, pulumi.Output.secret(settings(environment)))


def _pools(environment: Environment) -> dict[str, Any]:
    return resolve_all(environment.config.cloud, environment.node_pools)


def _as_secret_as_pools(value: dict[str, Any]) -> Any:
    """The value; secret if `pulumi config set --secret` encrypted a value of the pools."""
    return pulumi.Output.secret(value) if is_config_secret(f"{PROJECT}:nodePools") else value


def _spec(pool: Section) -> dict[str, Any]:
    """A pool as the library's components take it, for programs that add something to the cluster. Not its
    `node_settings`, which may have a password of a registry: the output is not secret."""
    return pool.arguments("node_settings")


def _pool(pool: Any) -> dict[str, Any]:
    return {
        "machineTypes": list(pool.machine_types),
        "min": pool.min,
        "max": pool.max,
        "capacity": list(pool.capacity),
        "labels": pool.labels,
        "taints": [f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in pool.taints],
        "gpusPerNode": pool.gpus,
    }
