"""Volume snapshots: the kinds of snapshot.storage.k8s.io and what the snapshot controller and a driver's sidecar do.

The kinds exist once the cloud runs the controller in the cluster (EKS: the add-on `snapshot-controller`, which installs
them; GKE: always), and remain afterwards, because they may have objects. A snapshot is ready immediately and contains
no data: a claim that is created from it gets an empty volume, but only when the snapshot is ready. Deletion policies of
contents and snapshots of groups are not simulated. The kinds have the fields of external-snapshotter 8.x that matter.
"""

from __future__ import annotations

from typing import Any

from sandbox.cluster.api import Api, Object
from sandbox.cluster.event import Events
from sandbox.cluster.nodes import now

GROUP = "snapshot.storage.k8s.io"
_ROOT = f"/apis/{GROUP}/v1"
_DEFAULT = "snapshot.storage.kubernetes.io/is-default-class"

_TEXT, _FLAG = {"type": "string"}, {"type": "boolean"}
_POLICY = {"type": "string", "enum": ["Delete", "Retain"]}


def _object(required: list[str] | None = None, **properties: Any) -> Object:
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


_REFERENCE = _object(apiVersion=_TEXT, kind=_TEXT, name=_TEXT, namespace=_TEXT, uid=_TEXT, resourceVersion=_TEXT)
_STATUS = _object(
    readyToUse=_FLAG,
    boundVolumeSnapshotContentName=_TEXT,
    snapshotHandle=_TEXT,
    creationTime=_TEXT,
    restoreSize={"x-kubernetes-int-or-string": True},
    error=_object(message=_TEXT, time=_TEXT),
)
# kind: (plural, namespaced, has a status, schema)
_KINDS: dict[str, tuple[str, bool, bool, Object]] = {
    "VolumeSnapshotClass": (
        "volumesnapshotclasses",
        False,
        False,
        _object(
            ["deletionPolicy", "driver"],
            driver=_TEXT,
            deletionPolicy=_POLICY,
            parameters={"type": "object", "additionalProperties": _TEXT},
        ),
    ),
    "VolumeSnapshotContent": (
        "volumesnapshotcontents",
        False,
        True,
        _object(
            ["spec"],
            spec=_object(
                ["deletionPolicy", "driver", "source", "volumeSnapshotRef"],
                deletionPolicy=_POLICY,
                driver=_TEXT,
                source=_object(volumeHandle=_TEXT, snapshotHandle=_TEXT),
                sourceVolumeMode=_TEXT,
                volumeSnapshotClassName=_TEXT,
                volumeSnapshotRef=_REFERENCE,
            ),
            status=_STATUS,
        ),
    ),
    "VolumeSnapshot": (
        "volumesnapshots",
        True,
        True,
        _object(
            ["spec"],
            spec=_object(
                ["source"],
                source=_object(persistentVolumeClaimName=_TEXT, volumeSnapshotContentName=_TEXT),
                volumeSnapshotClassName=_TEXT,
            ),
            status=_STATUS,
        ),
    ),
}


def definitions() -> list[Object]:
    """The CustomResourceDefinitions."""
    made = []
    for kind, (plural, namespaced, status, schema) in _KINDS.items():
        version: Object = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        if status:
            version["subresources"] = {"status": {}}
        made.append(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                # The API server accepts a definition in a Kubernetes domain only with this link to its approval.
                "metadata": {
                    "name": f"{plural}.{GROUP}",
                    "annotations": {
                        "api-approved.kubernetes.io": "https://github.com/kubernetes-csi/external-snapshotter/pull/814"
                    },
                },
                "spec": {
                    "group": GROUP,
                    "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
                    "scope": "Namespaced" if namespaced else "Cluster",
                    "versions": [version],
                },
            }
        )
    return made


class Snapshots:
    """Takes snapshots, one `sync` after the other, while the controller is installed."""

    def __init__(self, api: Api, events: Events) -> None:
        self._api = api
        self._events = events
        self._installed = False

    def install(self, installed: bool) -> None:
        """Sets whether the cloud runs the controller, and creates the kinds if it does."""
        if installed and not self._installed:
            for definition in definitions():
                self._api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        self._installed = installed

    def sync(self) -> None:
        """One round over the snapshots that are not ready."""
        if not self._installed:
            return
        # None until the API server serves the kind.
        found = self._api.get(f"{_ROOT}/volumesnapshots") or {}
        for snapshot in found.get("items") or ():
            done = (snapshot.get("status") or {}).get("readyToUse")
            if not done and not snapshot["metadata"].get("deletionTimestamp"):
                self._take({**snapshot, "kind": "VolumeSnapshot"})

    def _take(self, snapshot: Object) -> None:
        meta, spec = snapshot["metadata"], snapshot["spec"]
        name = spec["source"].get("persistentVolumeClaimName")
        claim = self._api.get(f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{name or '-'}")
        bound = (claim or {"spec": {}})["spec"].get("volumeName")
        volume = self._api.get(f"/api/v1/persistentvolumes/{bound}") if bound else None
        if volume is None or "csi" not in volume["spec"]:
            message = f"cannot get claim {name!r} with a volume of a CSI driver"
            self._events.warn(snapshot, "SnapshotContentMissing", message)
            return
        driver = volume["spec"]["csi"]["driver"]
        chosen = self._class(spec.get("volumeSnapshotClassName"), driver)
        if chosen is None:
            self._events.warn(snapshot, "GetSnapshotClassFailed", f"no snapshot class for the driver {driver}")
            return
        content, size = f"snapcontent-{meta['uid']}", volume["spec"]["capacity"]["storage"]
        self._api.create(
            f"{_ROOT}/volumesnapshotcontents",
            {
                "apiVersion": f"{GROUP}/v1",
                "kind": "VolumeSnapshotContent",
                "metadata": {"name": content},
                "spec": {
                    "deletionPolicy": chosen["deletionPolicy"],
                    "driver": driver,
                    "source": {"volumeHandle": volume["spec"]["csi"]["volumeHandle"]},
                    "volumeSnapshotClassName": chosen["metadata"]["name"],
                    "volumeSnapshotRef": {
                        "apiVersion": f"{GROUP}/v1",
                        "kind": "VolumeSnapshot",
                        "name": meta["name"],
                        "namespace": meta["namespace"],
                        "uid": meta["uid"],
                    },
                },
            },
        )
        ready = {"readyToUse": True, "restoreSize": size, "creationTime": now()}
        handle = {"snapshotHandle": f"sandbox-{meta['uid']}"}
        self._api.patch(f"{_ROOT}/volumesnapshotcontents/{content}/status", {"status": {**ready, **handle}})
        path = f"{_ROOT}/namespaces/{meta['namespace']}/volumesnapshots/{meta['name']}/status"
        self._api.patch(path, {"status": {**ready, "boundVolumeSnapshotContentName": content}})

    def _class(self, name: str | None, driver: str) -> Object | None:
        classes = self._api.list(f"{_ROOT}/volumesnapshotclasses")
        if name:
            return next((c for c in classes if c["metadata"]["name"] == name), None)
        marked = [c for c in classes if (c["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"]
        return next((c for c in marked if c["driver"] == driver), None)


def ready(api: Api, claim: Object) -> bool:
    """Whether a claim's source is ready: its snapshot, if it has one."""
    source = claim["spec"].get("dataSource") or {}
    if source.get("kind") != "VolumeSnapshot":
        return True
    path = f"{_ROOT}/namespaces/{claim['metadata']['namespace']}/volumesnapshots/{source['name']}"
    found = api.get(path) or {}
    return bool((found.get("status") or {}).get("readyToUse"))
