"""What Kubernetes has created in the cloud for a cluster's users, and its removal before the cluster is deleted.

A Service of type LoadBalancer, an Ingress or a Gateway represents a load balancer, a claim represents a volume.
Kubernetes removes these from the cloud only while the cluster runs: a finalizer keeps the object until its part in the
cloud is deleted. So an object that no longer exists in the cluster no longer exists in the cloud, and this module need
not ask the cloud. On GKE a Service may also have endpoint groups, which are separate objects. GKE removes both about
two minutes after the Service, and the network cannot be deleted before (kubernetes/ingress-gce, pkg/neg).

Data is kept: volumes whose reclaim policy is not Delete, volumes that no driver created, and snapshots.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from . import controllers
from .cluster_api import Api, ApiError, Object, Refused, Unreachable

Report = Callable[[str], None]
"""Shows a line to the user who runs the destroy."""

QUOTA = "gpuyard-teardown"
"""Name of the ResourceQuota that forbids new load balancers and claims in a namespace while it is emptied."""

PATIENCE = 30.0
"""Seconds for which an API server that does not answer is tried again."""
PAUSE = 2.0
"""Seconds between two inspections of the cluster."""

_GROUPS = "/apis/networking.gke.io/v1beta1/servicenetworkendpointgroups"
_EXPOSES = "cloud.google.com/neg"

_PROVISIONED = "pv.kubernetes.io/provisioned-by"
_QUOTA_SECONDS = 20
_PROGRESS_SECONDS = 60

_SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents"
_BALANCERS = {
    "Service": "/api/v1/services",
    "Ingress": "/apis/networking.k8s.io/v1/ingresses",
    "Gateway": "/apis/gateway.networking.k8s.io/v1/gateways",
}


class KeptVolumesError(Exception):
    """Volumes to be kept are in the network that will be deleted. The message names them, one per line. Nothing was
    deleted."""


class LeftoversError(Exception):
    """Objects still exist when the time limit is reached. The message names them, one per line."""


@dataclass(frozen=True)
class CloudObject:
    """A Kubernetes object that represents a resource in the cloud."""

    path: str
    """Its path in the Kubernetes API."""
    text: str
    """Its description for the user."""
    namespace: str = ""
    """Its namespace; empty for an object of the whole cluster."""
    name: str = ""
    """Its name."""
    deleted: bool = False
    """Whether its deletion has begun."""


@dataclass
class Contents:
    """The contents of a cluster at one moment."""

    balancers: list[CloudObject] = field(default_factory=list)
    """Objects that represent load balancers."""
    claims: list[CloudObject] = field(default_factory=list)
    """Claims whose volumes will be deleted."""
    volumes: list[CloudObject] = field(default_factory=list)
    """Volumes that are deleted with their claims."""
    groups: list[CloudObject] = field(default_factory=list)
    """Endpoint groups, which are deleted with their Services."""
    users: list[CloudObject] = field(default_factory=list)
    """Pods that use the claims."""
    kept: list[CloudObject] = field(default_factory=list)
    """Volumes and snapshots that are kept."""
    blocking: list[CloudObject] = field(default_factory=list)
    """Volumes among those kept that are in the network and prevent its deletion."""

    @property
    def remaining(self) -> list[CloudObject]:
        """What must be deleted before the network and the drivers."""
        return [*self.balancers, *self.groups, *self.claims, *self.volumes]


def inspect(api: Api, network_drivers: Collection[str] = ()) -> Contents:
    """The cluster's contents now. `network_drivers`: see `empty`."""
    found = Contents(list(_balancers(api)))
    found.groups = [_group(each) for each in api.list(_GROUPS)]
    volumes = api.list("/api/v1/persistentvolumes")
    temporary = [volume for volume in volumes if _is_temporary(volume)]
    kept = [volume for volume in volumes if not _is_temporary(volume)]
    names = {volume["metadata"]["name"] for volume in temporary}
    found.volumes = [_volume(volume) for volume in temporary]
    found.kept = [_volume(volume) for volume in kept]
    found.blocking = [_volume(volume) for volume in kept if _driver_of(volume) in network_drivers]
    found.kept += [_snapshot(content) for content in api.list(_SNAPSHOTS)]
    claims = api.list("/api/v1/persistentvolumeclaims")
    # A claim without a volume may get one at any moment.
    deletes = {
        each["metadata"]["name"]
        for each in (api.list("/apis/storage.k8s.io/v1/storageclasses") if claims else [])
        if each.get("reclaimPolicy", "Delete") == "Delete"
    }
    found.claims = [
        _claim(claim)
        for claim in claims
        if (claim["spec"].get("volumeName") or "") in names
        or (not claim["spec"].get("volumeName") and claim["spec"].get("storageClassName") in deletes)
    ]
    if found.claims:
        claimed = {(claim.namespace, claim.name) for claim in found.claims}
        found.users = [_pod(pod) for pod in api.list("/api/v1/pods") if claimed & set(_claims_of(pod))]
    return found


def empty(api: Api, report: Report, seconds: float, network_drivers: Collection[str] = ()) -> None:
    """Lets controllers finish (`controllers.py`), deletes load balancers and volumes, waits until they are gone, and
    reports what is kept.

    Args:
        api: the cluster's API.
        report: shows a line to the user who runs the destroy.
        seconds: how long it may take.
        network_drivers: drivers whose volumes are servers in the cluster's network, which is deleted after the cluster.

    Raises:
        KeptVolumesError: volumes of these drivers are to be kept.
        Unreachable: the API server has never answered.
        Refused: the API server denies access.
        LeftoversError: some objects still exist when the time limit is reached.
    """
    begun = time.monotonic()
    found = _first(api, begun + PATIENCE, network_drivers)
    if found.blocking:
        raise KeptVolumesError("\n".join(each.text for each in found.blocking))
    if found.kept:
        report(
            "These are kept, because of their reclaim policy. A volume on a file system is deleted only with it:"
            + "".join(f"\n  {each.text}" for each in found.kept)
        )
    if held := controllers.release(api, report, begun + seconds, PAUSE):
        raise LeftoversError("\n".join(held))
    if found.remaining:
        listed = "".join(f"\n  {each.text}" for each in found.remaining)
        report(f"Deleting what Kubernetes created in the cloud:{listed}")
    closed: set[str] = set()
    reported, trouble = begun, ""
    while found.remaining:
        try:
            _close(api, {each.namespace for each in (*found.balancers, *found.claims)} - closed, closed)
            for each in (*found.balancers, *found.claims, *found.users):
                if not each.deleted:
                    api.delete(each.path)
            trouble = ""
        except (ApiError, Unreachable) as error:  # the next round tries again
            trouble = str(error)
        now = time.monotonic()
        if now - begun > seconds:
            raise LeftoversError("\n".join([*_lines(found), *([f"last error: {trouble}"] if trouble else [])]))
        if now - reported > _PROGRESS_SECONDS:
            reported = now
            report(f"waiting for {', '.join(each.text for each in found.remaining)}")
        time.sleep(PAUSE)
        try:
            found = inspect(api)
        except (ApiError, Unreachable) as error:
            trouble = str(error)


def _first(api: Api, until: float, network_drivers: Collection[str]) -> Contents:
    while True:
        try:
            return inspect(api, network_drivers)
        except Unreachable:
            if time.monotonic() > until:
                raise
        except ApiError as error:
            if error.status == 403:
                raise Refused(f"this user may not list everything: {error}") from None
            if time.monotonic() > until:
                raise LeftoversError(f"the API server only answers: {error}") from None
        time.sleep(PAUSE)


def _close(api: Api, namespaces: Iterable[str], closed: set[str]) -> None:
    """Forbids new load balancers and claims in these namespaces. Otherwise a StatefulSet, a Job or an operator would
    recreate what is deleted, and it would be necessary to know which controller owns what."""
    body: Object = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": QUOTA},
        "spec": {"hard": {"persistentvolumeclaims": "0", "services.loadbalancers": "0"}},
    }
    new = sorted(namespaces)
    present = {
        quota["metadata"]["namespace"]: quota["spec"]
        for quota in (api.list("/api/v1/resourcequotas") if new else [])
        if quota["metadata"]["name"] == QUOTA
    }
    for namespace in new:
        try:
            if present.get(namespace, body["spec"]) != body["spec"]:
                # A tenant's quota of this name that allows some: the destroy would wait for objects that are recreated.
                api.delete(f"/api/v1/namespaces/{namespace}/resourcequotas/{QUOTA}")
            api.create(f"/api/v1/namespaces/{namespace}/resourcequotas", body)
        except ApiError as error:
            if error.status not in (403, 404):  # in a namespace that is being deleted nothing can be created either
                raise
        closed.add(namespace)
    # A quota applies once its controller has seen it.
    until = time.monotonic() + _QUOTA_SECONDS
    while new and time.monotonic() < until:
        unseen = {
            quota["metadata"]["namespace"]
            for quota in api.list("/api/v1/resourcequotas")
            if quota["metadata"]["name"] == QUOTA and not quota.get("status", {}).get("hard")
        }
        if not unseen & set(new):
            return
        time.sleep(0.3)


def _balancers(api: Api) -> Iterator[CloudObject]:
    for kind, path in _BALANCERS.items():
        for found in api.list(path):
            meta = found["metadata"]
            # A controller that has created something in the cloud keeps a finalizer on the object. A Service of this
            # type gets its first one a moment after its creation.
            if _is_outside(found) if kind == "Service" else meta.get("finalizers"):
                balancer = (found.get("status") or {}).get("loadBalancer") or {}
                addresses = balancer.get("ingress") or (found.get("status") or {}).get("addresses") or []
                where = [a.get("hostname") or a.get("ip") or a.get("value") or "" for a in addresses]
                yield _object(path, found, f"{kind} {meta['namespace']}/{meta['name']}", " ".join(where))


def _is_outside(service: Object) -> bool:
    """Whether the Service has something in the cloud: a load balancer, or endpoint groups for a separate one."""
    exposes = (service["metadata"].get("annotations") or {}).get(_EXPOSES, "")
    return service["spec"].get("type") == "LoadBalancer" or "exposed_ports" in exposes


def _group(group: Object) -> CloudObject:
    meta = group["metadata"]
    return _object(_GROUPS, group, f"endpoint group {meta['namespace']}/{meta['name']}")


def _is_temporary(volume: Object) -> bool:
    """Whether the volume's driver deletes it with its claim."""
    return bool(_driver_of(volume)) and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"


def _driver_of(volume: Object) -> str:
    """The driver that created the volume for a claim; '' for a volume that was not created for one."""
    return (volume["metadata"].get("annotations") or {}).get(_PROVISIONED, "")


def _volume(volume: Object) -> CloudObject:
    spec, meta = volume["spec"], volume["metadata"]
    driver = spec.get("csi") or {}
    claim = spec.get("claimRef") or {}
    facts = [
        spec.get("capacity", {}).get("storage", ""),
        f"{driver.get('driver', '')} {driver.get('volumeHandle', '')}".strip(),
        f"claim {claim['namespace']}/{claim['name']}" if claim else "",
        (volume.get("status") or {}).get("message", ""),
    ]
    return _object("/api/v1/persistentvolumes", volume, f"volume {meta['name']}", ", ".join(filter(None, facts)))


def _snapshot(content: Object) -> CloudObject:
    handle = (content.get("status") or {}).get("snapshotHandle", "")
    return _object(
        _SNAPSHOTS, content, f"snapshot {content['metadata']['name']}", f"{content['spec']['driver']} {handle}"
    )


def _claim(claim: Object) -> CloudObject:
    meta = claim["metadata"]
    return _object("/api/v1/persistentvolumeclaims", claim, f"claim {meta['namespace']}/{meta['name']}")


def _pod(pod: Object) -> CloudObject:
    meta = pod["metadata"]
    return _object("/api/v1/pods", pod, f"pod {meta['namespace']}/{meta['name']}", pod["spec"].get("nodeName", ""))


def _claims_of(pod: Object) -> Iterator[tuple[str, str]]:
    """The claims that a pod uses. A pod without a node uses none."""
    meta = pod["metadata"]
    for volume in (pod["spec"].get("volumes") or []) if pod["spec"].get("nodeName") else []:
        if claim := volume.get("persistentVolumeClaim"):
            yield meta["namespace"], claim["claimName"]
        elif volume.get("ephemeral"):
            yield meta["namespace"], f"{meta['name']}-{volume['name']}"


def _object(collection: str, found: Object, text: str, facts: str = "") -> CloudObject:
    meta = found["metadata"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    head, _, plural = collection.rpartition("/")
    path = f"{head}/namespaces/{namespace}/{plural}/{name}" if namespace else f"{collection}/{name}"
    return CloudObject(
        path, f"{text} ({facts})" if facts else text, namespace, name, bool(meta.get("deletionTimestamp"))
    )


def _lines(found: Contents) -> Iterator[str]:
    for each in found.remaining:
        yield each.text
    for pod in found.users:
        yield f"{pod.text}, which still runs with one of these claims"
