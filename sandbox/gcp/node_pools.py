"""Behavior of GKE for node pools beyond storing them: a managed instance group per zone, whose machines the cluster's
node controller turns into nodes; GKE's additions to a pool; the duration of an operation."""

from __future__ import annotations

import time

from sandbox.cluster.key import gke as cluster_key
from sandbox.gcp import fleet, groups, machines, nodes, planes, renewal, reservations, versions
from sandbox.gcp.planes import CLUSTER_NAME, CLUSTERS
from sandbox.gcp.store import ApiError, Body, Store
from sandbox.gcp.table import Behaviour, Context, Row, fill, full_name, invalid, number, overwrite
from sandbox.plugins.provider import Props, ProviderError

POOL_NAME = CLUSTER_NAME + "/nodePools/{name}"

NODES_SECONDS = 120.0
"""How long a node pool waits for its nodes to be Ready."""

PROVIDER_MINUTES = 120.0
"""The provider's default time-out for a node pool, in minutes (resource_container_node_pool.go, Timeouts)."""

_GPU_TAINT = {"key": nodes.GPU, "value": "present", "effect": "NO_SCHEDULE"}
_QUEUED_TAINT = {"key": "cloud.google.com/gke-queued", "value": "true", "effect": "NO_SCHEDULE"}
_ARM_TAINT = {"key": "kubernetes.io/arch", "value": "arm64", "effect": "NO_SCHEDULE"}
REBUILD = (
    *("machineType", "diskType", "diskSizeGb", "imageType", "bootDisk", "gcfsConfig", "gvnic"),
    *("kubeletConfig", "linuxNodeConfig", "workloadMetadataConfig"),
)
"""Changes of a pool's config that the API applies by replacing its machines."""


class NodePool(Behaviour):
    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        cluster = fill(CLUSTER_NAME, {**inputs, **row.variables(inputs)})
        add_pool(ctx, cluster, body, inputs)
        name = row.resource_name(inputs)
        try:
            await_nodes(ctx, name)
        except ApiError as error:
            # The pool exists: the engine must record it, or the next run cannot create it.
            raise ProviderError(
                f"Error waiting for creating GKE NodePool: {error.message}", (row.pulumi_id(inputs), {**inputs})
            ) from None
        return self.find(ctx, row, inputs) or body

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        name = row.resource_name(inputs)
        store = ctx.store
        renewed = 0
        with store.transaction():
            before = store.get(groups.POOLS, name)
            cluster = store.get(CLUSTERS, name.rpartition("/nodePools/")[0])
            if new.get("version"):
                new["version"] = _node_version(cluster, new["version"])
            zones = new.get("locations") or before["locations"]
            check_machines(new.get("config", {}), zones)
            after = store.update(groups.POOLS, name, lambda body: overwrite(body, old, new))
            after = store.update(groups.POOLS, name, lambda body: {**body, "locations": zones})
            if inputs.get("nodeCount") is not None:
                groups.resize(store, name, dict.fromkeys(zones, int(inputs["nodeCount"])))
            groups.relocate(store, name, zones, min(_start_sizes(inputs, len(zones))))
            _within_limits(store, name, after)
            changed = [key for key in REBUILD if before["config"].get(key) != after["config"].get(key)]
            if changed or before["version"] != after["version"]:
                renewed = len(groups.instances(store, name))
                groups.recreate(store, name)
            _refresh_groups(store, name)
        await_nodes(ctx, name)
        if renewed and (needed := renewal.minutes(after, renewed)) > (limit := ctx.timeout / 60 or PROVIDER_MINUTES):
            # GKE continues; only the provider stops waiting.
            raise ProviderError(
                f"Error waiting for updating GKE node pool: timeout while waiting for state to become 'DONE' (last "
                f"state: 'RUNNING', timeout: {limit:.0f}m0s; {renewed} nodes take about {needed:.0f} minutes)",
                (row.pulumi_id(inputs), {**inputs}),
            )
        return self.find(ctx, row, inputs) or new

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        sizes = body["_sandbox"].get("sizes", {})
        urls = body.get("instanceGroupUrls", [])
        outputs = {
            "instanceGroupUrls": [url.replace("/instanceGroups/", "/instanceGroupManagers/") for url in urls],
            "managedInstanceGroupUrls": [url.replace("/instanceGroupManagers/", "/instanceGroups/") for url in urls],
            "version": body["version"],
            "nodeLocations": body["locations"],
            "operation": "",
        }
        if sizes:
            # As the provider computes it: the average over the groups, rounded down.
            outputs["nodeCount"] = sum(sizes.values()) // len(sizes)
        return outputs

    def find(self, ctx: Context, row: Row, place: Props) -> Body | None:
        body = super().find(ctx, row, place)
        if body is not None:
            body["_sandbox"]["sizes"] = groups.sizes(ctx.store, row.resource_name(place))
        return body


def add_pool(ctx: Context, cluster_name: str, body: Body, inputs: Props) -> Body:
    """Creates a node pool and its machines; `inputs` contain the counts."""
    store = ctx.store
    with store.transaction():
        cluster = store.find(CLUSTERS, cluster_name)
        if cluster is None:
            raise ApiError(404, f"Not found: {cluster_name}.", "notFound")
        name = f"{cluster_name}/nodePools/{body['name']}"
        config: Props = {"machineType": nodes.DEFAULT_MACHINE, **body.get("config", {})}
        zones = sorted(body.get("locations") or cluster["locations"])
        check_machines(config, zones)
        _check_pods_range(store, cluster_name, cluster, body)
        extra: list[Props] = []
        others = [pool for _, _, pool in store.select(groups.POOLS, under=cluster_name)]
        tainted = any(taint["key"] == nodes.GPU for taint in config.get("taints", []))
        if config.get("accelerators") and not tainted and any(not p["config"].get("accelerators") for p in others):
            # GKE taints GPU pools automatically, but only if the cluster has other nodes.
            extra.append(_GPU_TAINT)
        extra += _other_taints(body, config)
        config = {**config, **_added(body, config)}
        pool = {
            **body,
            "config": config,
            "locations": zones,
            "version": _node_version(cluster, body.get("version", "")),
            "status": "RUNNING",
            "selfLink": f"https://container.googleapis.com/v1/{name}",
            "etag": number(name)[:10],
            "_sandbox": {"id": number(name), "gke_taints": extra},
        }
        store.insert(groups.POOLS, name, pool, owner=(CLUSTERS, cluster_name))
        for zone, count in zip(zones, _start_sizes(inputs, len(zones)), strict=True):
            groups.create(store, name, zone, count)
        _refresh_groups(store, name)
        return store.get(groups.POOLS, name)


def _added(pool: Body, config: Body) -> Body:
    """The labels that GKE adds to the config: the label of the network profile, by which pods select the nodes, and
    labels of the machines (the provider hides the latter: containerNodePoolResourceLabelsDiffSuppress)."""
    profile = pool.get("networkConfig", {}).get("acceleratorNetworkProfile")
    model = "spot" if config.get("spot") else "flex-start" if config.get("flexStart") else "on-demand"
    kinds = [accelerator["acceleratorType"] for accelerator in config.get("accelerators", [])]
    added = {
        "goog-gke-node-pool-provisioning-model": model,
        **({"goog-gke-accelerator-type": kinds[0]} if kinds else {}),
    }
    labels = {**config.get("labels", {}), **({nodes.NETWORK_PROFILE: profile} if profile else {})}
    return {"labels": labels, "resourceLabels": {**config.get("resourceLabels", {}), **added}}


def _other_taints(pool: Body, config: Body) -> list[Props]:
    """The taints that GKE adds to nodes of queued provisioning and, unless the pool disables it, to Arm nodes."""
    machine = machines.find(config["machineType"])
    behaviour = config.get("taintConfig", {}).get("architectureTaintBehavior", "ARM")
    queued = [_QUEUED_TAINT] if pool.get("queuedProvisioning", {}).get("enabled") else []
    return queued + ([_ARM_TAINT] if machine and machine.arch == "arm64" and behaviour == "ARM" else [])


def check_machines(config: Body, zones: list[str]) -> None:
    """Refuses a machine type, or a GPU, that does not exist or is not offered in one of the zones."""
    if fault := machine_fault(config, zones):
        raise invalid(fault[1])


def machine_fault(config: Body, zones: list[str]) -> tuple[str, str] | None:
    """(field of the config, error), or None."""
    name = config.get("machineType", nodes.DEFAULT_MACHINE)
    machine = machines.find(name)
    if machine is None:
        return "machineType", f"Machine type with name '{name}' does not exist in zone '{zones[0] if zones else '-'}'."
    accelerators = config.get("accelerators", [])
    for accelerator in accelerators:
        kind, count = accelerator.get("acceleratorType"), accelerator.get("acceleratorCount", "0")
        known = isinstance(kind, str) and isinstance(count, str)
        if known and (fault := machines.accelerator_fault(machine, kind, int(count), zones)):
            return "accelerators", fault
    for zone in zones:
        if not machines.offered_in(machine, zone):
            return "machineType", f"Machine type with name '{name}' does not exist in zone '{zone}'."
    return None


def await_nodes(ctx: Context, pool: str) -> None:
    """Waits until every machine of the pool is a Ready node. Raises ApiError after a timeout or an interruption."""
    reservation = reservations.name(ctx.store.get(groups.POOLS, pool).get("config", {}))
    size = sum(groups.sizes(ctx.store, pool).values())
    wanted = {body["name"] for _, body in groups.instances(ctx.store, pool)}
    if reservation and len(wanted) < size:
        message = f"Specified reservation [{reservation}] does not have available resources for the request."
        raise ApiError(400, message, "failedPrecondition")
    if not wanted:
        return
    steps = pool.split("/")
    plane = planes.control_planes().get(cluster_key(steps[1], steps[3], steps[5]))
    if plane is None:
        raise ApiError(404, f"The control plane of {steps[5]} does not run.", "notFound")
    deadline = time.monotonic() + min(ctx.timeout or NODES_SECONDS, NODES_SECONDS)
    ready: set[str] = set()
    while time.monotonic() < deadline and not ctx.cancelled.is_set():
        try:
            found = plane.api().list("/api/v1/nodes", labelSelector=f"cloud.google.com/gke-nodepool={steps[7]}")
        except OSError:
            found = []  # it may still be starting
        ready = {node["metadata"]["name"] for node in found if _is_ready(node)}
        wanted = {body["name"] for _, body in groups.instances(ctx.store, pool)}
        if wanted <= ready:
            return
        ctx.cancelled.wait(0.25)
    raise ApiError(
        400,
        f"only {len(wanted & ready)} of {len(wanted)} nodes of pool '{steps[7]}' became ready"
        + (" before the operation was interrupted" if ctx.cancelled.is_set() else "; `make status` shows the cluster"),
        "failedPrecondition",
    )


def _is_ready(node: Props) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in node.get("status", {}).get("conditions", [])
    )


def _start_sizes(inputs: Props, zones: int) -> list[int]:
    """Machines to start with in each zone: initialNodeCount or nodeCount, which are per zone, else the autoscaler's
    minimum."""
    scaling = inputs.get("autoscaling") or {}
    for value in (inputs.get("initialNodeCount"), inputs.get("nodeCount"), scaling.get("minNodeCount")):
        if value is not None:
            return [int(value)] * zones
    return groups.spread(int(scaling.get("totalMinNodeCount") or 0), zones)


def _within_limits(store: Store, name: str, pool: Body) -> None:
    """A higher minimum adds nodes at once. A lower maximum removes none: nodes above it are removed when they are idle
    (autoscaler's FAQ, "My cluster is below minimum / above maximum number of nodes")."""
    current = groups.sizes(store, name)
    low, _ = fleet.limits(pool, current)
    size = max(sum(current.values()), low)
    if size != sum(current.values()):
        groups.resize(store, name, fleet.place(pool, current, size))


def _refresh_groups(store: Store, name: str) -> None:
    urls = [body["selfLink"] for _, body in groups.of(store, name)]
    store.update(groups.POOLS, name, lambda body: {**body, "instanceGroupUrls": urls})


def _node_version(cluster: Body, wanted: str) -> str:
    master = cluster["currentMasterVersion"]
    if not wanted:
        return master
    version = versions.resolve(wanted, "")
    if versions.is_newer(version, master):
        raise invalid(f'Node version "{version}" must not be greater than the master version "{master}".')
    return version


def _check_pods_range(store: Store, name: str, cluster: Body, pool: Body) -> None:
    """The subnetwork's secondary range that a pool names must exist."""
    wanted = pool.get("networkConfig", {}).get("podRange")
    if not wanted or not cluster.get("subnetwork"):
        return
    place = {"project": name.split("/")[1], "location": name.split("/")[3]}
    subnetwork = full_name("compute.subnetworks", cluster["subnetwork"], place)
    ranges = store.get("compute.subnetworks", subnetwork).get("secondaryIpRanges", [])
    if wanted not in [item.get("rangeName") for item in ranges]:
        raise invalid(f"Pod secondary range '{wanted}' does not exist in network subnetwork '{subnetwork}'.")
