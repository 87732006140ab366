"""What a cluster's users have made in the cloud by way of Kubernetes, and its removal before the cluster goes.

A Service of type LoadBalancer, an Ingress or a Gateway stands for a load balancer, a claim for a volume. Kubernetes
removes these from the cloud only while the cluster runs: the object stays, by its finalizer, until the cloud's side is
gone. So "gone from the cluster" is "gone from the cloud", and this module asks no cloud. On GKE a Service may have
endpoint groups besides, with objects of their own: GKE removes both some two minutes after the Service, and no network
goes before them (kubernetes/ingress-gce, pkg/neg).

Kept is whatever is declared as data: volumes whose reclaim policy is not Delete, volumes that no driver has made, and
snapshots.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from .cluster_api import Api, ApiError, Object, Refused, Unreachable

Say = Callable[[str], None]

QUOTA = "gpuyard-teardown"
"""Name of the ResourceQuota that forbids new load balancers and claims in a namespace that is being emptied."""

PATIENCE = 30.0
"""Seconds for which an API server that does not answer at all is tried."""
PAUSE = 2.0
"""Seconds between two looks."""

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


class Held(Exception):
    """Kept volumes lie in the network that is to go; the message names them, one a line. Nothing was deleted."""


class Left(Exception):
    """Something is still there after the time is up; the message names it, one thing a line."""


@dataclass(frozen=True)
class Thing:
    """An object that stands for something in the cloud. `path`: for the API; `text`: for a person."""

    path: str
    text: str
    namespace: str = ""
    name: str = ""
    deleted: bool = False


@dataclass
class Contents:
    """What there is. `volumes` go with their claims, `groups` (of endpoints) with what has them, `users` are the pods
    that hold the claims, `kept` stays; `held` is the part of it that keeps the network from going."""

    balancers: list[Thing] = field(default_factory=list)
    claims: list[Thing] = field(default_factory=list)
    volumes: list[Thing] = field(default_factory=list)
    groups: list[Thing] = field(default_factory=list)
    users: list[Thing] = field(default_factory=list)
    kept: list[Thing] = field(default_factory=list)
    held: list[Thing] = field(default_factory=list)

    @property
    def left(self) -> list[Thing]:
        """What must be gone before the network and the drivers go."""
        return [*self.balancers, *self.groups, *self.claims, *self.volumes]


def look(api: Api, network_drivers: Collection[str] = ()) -> Contents:
    """The cluster's contents as they are now. `network_drivers`: see `empty`."""
    found = Contents(list(_balancers(api)))
    found.groups = [_group(each) for each in api.list(_GROUPS)]
    volumes = api.list("/api/v1/persistentvolumes")
    doomed = {volume["metadata"]["name"] for volume in volumes if _goes(volume)}
    found.volumes = [_volume(volume) for volume in volumes if _goes(volume)]
    found.kept = [_volume(volume) for volume in volumes if not _goes(volume)]
    found.held = [_volume(volume) for volume in volumes if not _goes(volume) and _made_by(volume) in network_drivers]
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
        if (claim["spec"].get("volumeName") or "") in doomed
        or (not claim["spec"].get("volumeName") and claim["spec"].get("storageClassName") in deletes)
    ]
    if found.claims:
        held = {(claim.namespace, claim.name) for claim in found.claims}
        found.users = [_pod(pod) for pod in api.list("/api/v1/pods") if held & set(_claims_of(pod))]
    return found


def empty(api: Api, say: Say, seconds: float, network_drivers: Collection[str] = ()) -> None:
    """Deletes load balancers and volumes and waits until they are gone; says what is kept. `seconds`: it gives up then.
    `network_drivers`: whose volumes are machines in the cluster's network, which is to be destroyed after it.

    Raises:
        Held: volumes of these drivers are declared to be kept.
        Unreachable: the API server has not answered once.
        Refused: it does not let us in.
        Left: not all is gone in time.
    """
    begun = time.monotonic()
    found = _first(api, begun + PATIENCE, network_drivers)
    if found.held:
        raise Held("\n".join(thing.text for thing in found.held))
    if found.kept:
        say(
            "These are kept, as their reclaim policy says; one that lies on a file system goes only with that:"
            + "".join(f"\n  {thing.text}" for thing in found.kept)
        )
    if found.left:
        say("Deleting what Kubernetes made in the cloud:" + "".join(f"\n  {thing.text}" for thing in found.left))
    closed: set[str] = set()
    told, trouble = begun, ""
    while found.left:
        try:
            _close(api, {thing.namespace for thing in (*found.balancers, *found.claims)} - closed, closed)
            for thing in (*found.balancers, *found.claims, *found.users):
                if not thing.deleted:
                    api.delete(thing.path)
            trouble = ""
        except (ApiError, Unreachable) as error:  # tried again at the next look
            trouble = str(error)
        now = time.monotonic()
        if now - begun > seconds:
            raise Left("\n".join([*_report(found), *([f"last trouble: {trouble}"] if trouble else [])]))
        if now - told > _PROGRESS_SECONDS:
            told = now
            say(f"waiting for {', '.join(thing.text for thing in found.left)}")
        time.sleep(PAUSE)
        try:
            found = look(api)
        except (ApiError, Unreachable) as error:
            trouble = str(error)


def _first(api: Api, until: float, network_drivers: Collection[str]) -> Contents:
    while True:
        try:
            return look(api, network_drivers)
        except Unreachable:
            if time.monotonic() > until:
                raise
        except ApiError as error:
            if error.status == 403:
                raise Refused(f"it lets this user not look at everything: {error}") from None
            if time.monotonic() > until:
                raise Left(f"the API server answers only: {error}") from None
        time.sleep(PAUSE)


def _close(api: Api, namespaces: Iterable[str], closed: set[str]) -> None:
    """Forbids new load balancers and claims where there are some: else a StatefulSet, a Job or an operator would answer
    each deletion with a new one, and which controller owns what would have to be known."""
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
                # A tenant's own, of this name and with room: the destroy would wait for what goes on to be made.
                api.delete(f"/api/v1/namespaces/{namespace}/resourcequotas/{QUOTA}")
            api.create(f"/api/v1/namespaces/{namespace}/resourcequotas", body)
        except ApiError as error:
            if error.status not in (403, 404):  # the namespace is being deleted: nothing new comes there either
                raise
        closed.add(namespace)
    # A quota counts from the moment when its controller has seen it.
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


def _balancers(api: Api) -> Iterator[Thing]:
    for kind, path in _BALANCERS.items():
        for found in api.list(path):
            meta = found["metadata"]
            # Any controller with something in the cloud keeps a finalizer on the object. A Service of this type gets
            # its first one a moment after it is made.
            if _is_outside(found) if kind == "Service" else meta.get("finalizers"):
                balancer = (found.get("status") or {}).get("loadBalancer") or {}
                addresses = balancer.get("ingress") or (found.get("status") or {}).get("addresses") or []
                where = [a.get("hostname") or a.get("ip") or a.get("value") or "" for a in addresses]
                yield _thing(path, found, f"{kind} {meta['namespace']}/{meta['name']}", " ".join(where))


def _is_outside(service: Object) -> bool:
    """Whether the Service is something in the cloud: a load balancer, or endpoint groups for one of somebody's own."""
    exposes = (service["metadata"].get("annotations") or {}).get(_EXPOSES, "")
    return service["spec"].get("type") == "LoadBalancer" or "exposed_ports" in exposes


def _group(group: Object) -> Thing:
    meta = group["metadata"]
    return _thing(_GROUPS, group, f"endpoint group {meta['namespace']}/{meta['name']}")


def _goes(volume: Object) -> bool:
    """Whether the volume's driver deletes it when its claim goes."""
    return bool(_made_by(volume)) and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"


def _made_by(volume: Object) -> str:
    """The driver that made the volume for a claim; '' for one that somebody wrote down."""
    return (volume["metadata"].get("annotations") or {}).get(_PROVISIONED, "")


def _volume(volume: Object) -> Thing:
    spec, meta = volume["spec"], volume["metadata"]
    driver = spec.get("csi") or {}
    claim = spec.get("claimRef") or {}
    facts = [
        spec.get("capacity", {}).get("storage", ""),
        f"{driver.get('driver', '')} {driver.get('volumeHandle', '')}".strip(),
        f"claim {claim['namespace']}/{claim['name']}" if claim else "",
        (volume.get("status") or {}).get("message", ""),
    ]
    return _thing("/api/v1/persistentvolumes", volume, f"volume {meta['name']}", ", ".join(filter(None, facts)))


def _snapshot(content: Object) -> Thing:
    handle = (content.get("status") or {}).get("snapshotHandle", "")
    return _thing(
        _SNAPSHOTS, content, f"snapshot {content['metadata']['name']}", f"{content['spec']['driver']} {handle}"
    )


def _claim(claim: Object) -> Thing:
    meta = claim["metadata"]
    return _thing("/api/v1/persistentvolumeclaims", claim, f"claim {meta['namespace']}/{meta['name']}")


def _pod(pod: Object) -> Thing:
    meta = pod["metadata"]
    return _thing("/api/v1/pods", pod, f"pod {meta['namespace']}/{meta['name']}", pod["spec"].get("nodeName", ""))


def _claims_of(pod: Object) -> Iterator[tuple[str, str]]:
    """The claims that a pod holds. One that no node has been found for holds none."""
    meta = pod["metadata"]
    for volume in (pod["spec"].get("volumes") or []) if pod["spec"].get("nodeName") else []:
        if claim := volume.get("persistentVolumeClaim"):
            yield meta["namespace"], claim["claimName"]
        elif volume.get("ephemeral"):
            yield meta["namespace"], f"{meta['name']}-{volume['name']}"


def _thing(collection: str, found: Object, text: str, facts: str = "") -> Thing:
    meta = found["metadata"]
    namespace, name = meta.get("namespace", ""), meta["name"]
    head, _, plural = collection.rpartition("/")
    path = f"{head}/namespaces/{namespace}/{plural}/{name}" if namespace else f"{collection}/{name}"
    return Thing(path, f"{text} ({facts})" if facts else text, namespace, name, bool(meta.get("deletionTimestamp")))


def _report(found: Contents) -> Iterator[str]:
    for thing in found.left:
        yield thing.text
    for pod in found.users:
        yield f"{pod.text}, which still runs with one of these claims"
