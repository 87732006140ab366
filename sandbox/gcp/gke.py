"""Behavior of Google Kubernetes Engine for clusters beyond storing them; for node pools: node_pools.py.

A cluster is a real control plane (sandbox/cluster/control_plane.py). Not simulated: Autopilot, node auto-provisioning,
TPUs.
"""

from __future__ import annotations

import time
from typing import Any

from sandbox.cluster import compute_class, monitoring_kinds, provisioning
from sandbox.cluster.key import gke as cluster_key
from sandbox.gcp import firewalls, groups, machines, planes, versions
from sandbox.gcp.node_pools import add_pool, await_nodes
from sandbox.gcp.planes import CLUSTERS
from sandbox.gcp.store import Body, Store
from sandbox.gcp.table import Behaviour, Context, Row, full_name, invalid, number, overwrite
from sandbox.plugins.provider import Props

_UNFINISHED = "PROVISIONING"
_NODES_BEHIND = 2


class Cluster(Behaviour):
    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        name = row.resource_name(inputs)
        channel = body.get("releaseChannel", {}).get("channel", versions.DEFAULT_CHANNEL)
        version = versions.resolve(body.get("initialClusterVersion", ""), channel)
        _check_ranges(ctx.store, inputs, body)
        body = {**body, **self.served(ctx, row, inputs, name)}
        body["currentMasterVersion"] = body["currentNodeVersion"] = version
        body.setdefault("releaseChannel", {"channel": channel})
        body.setdefault("locations", _zones(str(inputs["location"])))
        with ctx.store.transaction():
            if (ctx.store.find(row.collection, name) or {}).get("status") == _UNFINISHED:
                # The process that created it was killed. `find` does not show it, so it must not block a new one.
                ctx.store.delete(row.collection, name)
            ctx.store.insert(row.collection, name, body, references=row.targets(inputs, body))
            firewalls.write(ctx.store, (row.collection, name), inputs, body)
        key = cluster_key(inputs["project"], inputs["location"], inputs["name"])
        try:
            plane = planes.control_planes().start(key, versions.minor(version))
            compute_class.install(plane.api())
            provisioning.install(plane.api())
            if body.get("monitoringConfig", {}).get("managedPrometheusConfig", {}).get("enabled", True):
                monitoring_kinds.install(plane.api(), monitoring_kinds.googles())
        except BaseException:
            # A partly created cluster would block the next attempt.
            ctx.store.delete(row.collection, name)
            planes.control_planes().stop(key)
            raise
        body = ctx.store.update(row.collection, name, lambda body: {**body, **_served_by(plane, name, body)})
        if not inputs.get("removeDefaultNodePool"):
            self._default_pools(ctx, name, inputs, body)
        return ctx.store.get(row.collection, name)

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        name = row.resource_name(inputs)
        current = ctx.store.get(row.collection, name)["currentMasterVersion"]
        channel = new.get("releaseChannel", {}).get("channel", versions.DEFAULT_CHANNEL)
        wanted = new.get("initialClusterVersion")
        target = current
        if wanted and wanted != old.get("initialClusterVersion"):
            target = versions.resolve(wanted, channel)
            # min_master_version is a lower bound: a control plane is never moved back.
            target = target if versions.is_newer(target, current) else current
            _check_step(ctx.store, name, current, target)
        _check_ranges(ctx.store, inputs, new)
        if target != current:
            key = cluster_key(inputs["project"], inputs["location"], inputs["name"])
            planes.control_planes().start(key, versions.minor(target))
        return ctx.store.update(
            row.collection,
            name,
            lambda body: {**overwrite(body, old, new), "currentMasterVersion": target},
            references=row.targets(inputs, new),
        )

    def find(self, ctx: Context, row: Row, place: Props) -> Body | None:
        body = super().find(ctx, row, place)
        return None if body is None or body["status"] == _UNFINISHED else body

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        name = row.resource_name(place)
        ctx.store.get(row.collection, name)
        planes.control_planes().stop(cluster_key(place["project"], place["location"], place["name"]))
        ctx.store.delete(row.collection, name)

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        return super().served(ctx, row, inputs, name) | {
            "selfLink": f"https://container.googleapis.com/v1/{name}",
            "status": _UNFINISHED,
            "location": inputs["location"],
            "labelFingerprint": number(name)[:8],
            "servicesIpv4Cidr": inputs.get("ipAllocationPolicy", {}).get("servicesIpv4CidrBlock") or "34.118.224.0/20",
            "createTime": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
        }

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        auth = body.get("masterAuth", {})
        return {
            "endpoint": body.get("endpoint", ""),
            "masterVersion": body["currentMasterVersion"],
            "nodeVersion": body["currentNodeVersion"],
            "masterAuth": {
                "clientCertificate": "",
                "clientKey": "",
                "clientCertificateConfig": auth.get("clientCertificateConfig", {"issueClientCertificate": False}),
                "clusterCaCertificate": auth.get("clusterCaCertificate", ""),
            },
            "selfLink": body["selfLink"],
            "location": body["location"],
            "labelFingerprint": body["labelFingerprint"],
            "servicesIpv4Cidr": body["servicesIpv4Cidr"],
            "operation": "",
            "tpuIpv4CidrBlock": "",
        }

    def _default_pools(self, ctx: Context, cluster: str, inputs: Props, body: Body) -> None:
        """The initial pools of a cluster: those written inside it, or else `default-pool`."""
        pools = body.get("nodePools") or [
            {
                "name": "default-pool",
                "initialNodeCount": body.get("initialNodeCount", 0),
                "config": body.get("nodeConfig", {}),
            }
        ]
        for pool in pools:
            add_pool(ctx, cluster, pool, pool)
        for pool in pools:
            await_nodes(ctx, f"{cluster}/nodePools/{pool['name']}")


def _check_step(store: Store, name: str, current: str, target: str) -> None:
    """One minor at a time, and nodes at most two behind (GKE, "Manually upgrading a cluster or node pool")."""
    now, then = (int(versions.minor(version).split(".")[1]) for version in (current, target))
    if then > now + 1:
        raise invalid(f'Master cannot be upgraded to "{target}": cannot upgrade the master more than a minor version.')
    for _, pool, body in store.select(groups.POOLS, under=name):
        if then - int(versions.minor(body["version"]).split(".")[1]) > _NODES_BEHIND:
            raise invalid(
                f'Master cannot be upgraded to "{target}": node pool "{pool.rpartition("/")[2]}" of version '
                f'"{body["version"]}" would be more than {_NODES_BEHIND} minor versions behind.'
            )


def _zones(location: str) -> list[str]:
    """A zone contains only itself; in a region, GKE uses three zones."""
    return [location] if machines.is_zone(location) else list(machines.ZONES[location][:3])


def _dns_endpoint(name: str) -> str:
    return f"gke-{number(name)[:12]}.{machines.region_of(name.split('/')[3])}.gke.goog"


def key_of(server: str, store: Store | None = None) -> str:
    """Key of the cluster whose DNS endpoint has this address, if it is open; '' if there is none."""
    for _, name, body in (store or Store()).select(CLUSTERS):
        dns = body.get("controlPlaneEndpointsConfig", {}).get("dnsEndpointConfig", {})
        if server == f"https://{dns.get('endpoint')}" and dns.get("allowExternalTraffic"):
            steps = name.split("/")
            return cluster_key(steps[1], steps[3], steps[5])
    return ""


def _served_by(plane: Any, name: str, body: Body) -> Body:
    endpoint = plane.endpoint.removeprefix("https://")
    auth = {**body.get("masterAuth", {}), "clusterCaCertificate": plane.ca_data}
    ways = body.get("controlPlaneEndpointsConfig", {})
    dns = {**ways.get("dnsEndpointConfig", {}), "endpoint": _dns_endpoint(name)}
    served: Body = {
        "status": "RUNNING",
        "endpoint": endpoint,
        "masterAuth": auth,
        "controlPlaneEndpointsConfig": {**ways, "dnsEndpointConfig": dns},
    }
    if "privateClusterConfig" in body:
        served["privateClusterConfig"] = {
            **body["privateClusterConfig"],
            "privateEndpoint": endpoint,
            "publicEndpoint": endpoint,
        }
    return served


def _check_ranges(store: Store, inputs: Props, body: Body) -> None:
    """The subnetwork's secondary ranges that the cluster names must exist."""
    policy = body.get("ipAllocationPolicy", {})
    if not body.get("subnetwork"):
        return
    name = full_name("compute.subnetworks", body["subnetwork"], inputs)
    offered = [item.get("rangeName") for item in store.get("compute.subnetworks", name).get("secondaryIpRanges", [])]
    named = [(policy.get("clusterSecondaryRangeName"), "Pod"), (policy.get("servicesSecondaryRangeName"), "Services")]
    named += [(each, "Pod") for each in policy.get("additionalPodRangesConfig", {}).get("podRangeNames", [])]
    for wanted, what in named:
        if wanted and wanted not in offered:
            raise invalid(f"{what} secondary range '{wanted}' does not exist in network subnetwork '{name}'.")
