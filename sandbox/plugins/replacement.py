"""Which changed properties cause the kubernetes provider to replace an object instead of updating it.

The facts are those of pulumi-kubernetes 4.x (its forceNew table, `enableConfigMapMutable`, `enableSecretMutable`). All
other changes are sent to the API server and fail there if a field is immutable, as with the real provider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.plugins.values import parts

IDENTITY = ("apiVersion", "kind", "metadata.name", "metadata.namespace")

# fmt: off
_CONTAINER = (
    "args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports",
    "readinessProbe", "resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath",
    "terminationMessagePolicy", "tty", "volumeDevices", "volumeMounts", "workingDir",
)
_POD = (
    "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases",
    "hostIPC", "hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead",
    "preemptionPolicy", "priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName",
    "schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace",
    "subdomain", "terminationGracePeriodSeconds", "volumes",
)
_VOLUME = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk",
    "portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
)
# fmt: on

FORCE_NEW: dict[tuple[str, str], tuple[str, ...]] = {
    # (group, kind): property paths; a list's items are `[*]`.
    ("apps", "DaemonSet"): ("spec.selector",),
    ("apps", "Deployment"): ("spec.selector",),
    ("apps", "StatefulSet"): tuple(
        f"spec.{p}"
        for p in ("podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates")
    ),
    ("batch", "Job"): tuple(f"spec.{p}" for p in ("completions", "parallelism", "selector", "template")),
    ("", "PersistentVolume"): tuple(f"spec.{p}" for p in _VOLUME),
    ("", "PersistentVolumeClaim"): tuple(
        f"spec.{p}" for p in ("accessModes", "selector", "storageClassName", "volumeName")
    ),
    ("", "Pod"): (
        *(f"spec.{p}" for p in _POD),
        *(f"spec.{list_}[*].{p}" for list_ in ("containers", "initContainers") for p in _CONTAINER),
    ),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
}


def forced(obj: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that force a replacement of this object. `config`: the provider's own inputs."""
    group = str(obj.get("apiVersion") or "").rpartition("/")[0]
    kind = str(obj.get("kind") or "")
    paths = FORCE_NEW.get((group, kind), ())
    if (group, kind) == ("", "ConfigMap") and (
        not config.get("enableConfigMapMutable") or obj.get("immutable") is True
    ):
        paths = ("binaryData", "data")
    if (group, kind) == ("", "Secret") and (not config.get("enableSecretMutable") or obj.get("immutable") is True):
        paths = ("type", "stringData", "data")
    return (*IDENTITY, *paths)


def replacing(changes: Iterable[str], forced: Iterable[str]) -> list[str]:
    """The changed paths at or below a forced path, or above one (a whole `spec` that was added or removed)."""
    wanted = [tuple(_steps(path)) for path in forced]
    found = []
    for path in changes:
        steps = tuple("*" if isinstance(part, int) else part for part in parts(path))
        if any(steps[: len(w)] == w or w[: len(steps)] == steps for w in wanted):
            found.append(path)
    return found


def _steps(path: str) -> list[str]:
    return path.replace("[*]", ".*").split(".")
