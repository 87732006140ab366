"""Objects that only their controller lets go: a finalizer keeps them until it has done its part.

A destroy deletes namespaces and queues that such objects keep. While the controller runs, it is asked to do its part:
Kueue stops the workloads that hold quota, others clean up after objects that are deleted. If it does not run any more,
nothing would ever remove the finalizers, so they are removed here.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .cluster_api import Api, ApiError, Object, Unreachable

Report = Callable[[str], None]
"""Shows a line to the user who runs the destroy."""

DRAIN = "HoldAndDrain"
"""Value of `stopPolicy` of a ClusterQueue: it admits nothing and stops what it has admitted."""

_DEPLOYMENTS = "/apis/apps/v1/deployments"
_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/{}webhookconfigurations"
_QUEUES = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues"
_WORKLOADS = "/apis/kueue.x-k8s.io/v1beta2/workloads"
_PROGRESS_SECONDS = 60


@dataclass(frozen=True)
class Kind:
    """A kind whose objects have finalizers of a controller. `finalizers`: how these begin."""

    name: str
    path: str
    finalizers: tuple[str, ...]


@dataclass(frozen=True)
class Controller:
    """A controller. `image`: the path of its image, by which its Deployment is found wherever it is. `groups`: API
    groups of its kinds. `drains`: whether it is asked to drain its queues; otherwise the objects are deleted."""

    name: str
    image: str
    groups: tuple[str, ...]
    kinds: tuple[Kind, ...]
    drains: bool = False


_KUEUE = ("kueue.x-k8s.io/",)
_KEDA = ("finalizer.keda.sh",)
CONTROLLERS = (
    Controller(
        "Kueue",
        "/kueue",
        ("kueue.x-k8s.io",),
        (
            Kind("Workload", _WORKLOADS, _KUEUE),
            # Plain pods in queues (podconstants.PodFinalizer).
            Kind("Pod", "/api/v1/pods", _KUEUE),
            Kind("ClusterQueue", _QUEUES, _KUEUE),
            Kind("AdmissionCheck", "/apis/kueue.x-k8s.io/v1beta2/admissionchecks", _KUEUE),
            Kind("ResourceFlavor", "/apis/kueue.x-k8s.io/v1beta2/resourceflavors", _KUEUE),
            Kind("Topology", "/apis/kueue.x-k8s.io/v1beta2/topologies", _KUEUE),
            # With Kueue's admission checks; the autoscaler has no finalizer.
            Kind("ProvisioningRequest", "/apis/autoscaling.x-k8s.io/v1/provisioningrequests", _KUEUE),
        ),
        drains=True,
    ),
    Controller(
        "KEDA",
        "/keda",
        ("keda.sh", "eventing.keda.sh"),
        (
            Kind("ScaledObject", "/apis/keda.sh/v1alpha1/scaledobjects", _KEDA),
            Kind("ScaledJob", "/apis/keda.sh/v1alpha1/scaledjobs", _KEDA),
            Kind("TriggerAuthentication", "/apis/keda.sh/v1alpha1/triggerauthentications", _KEDA),
            Kind("ClusterTriggerAuthentication", "/apis/keda.sh/v1alpha1/clustertriggerauthentications", _KEDA),
        ),
    ),
    Controller(
        "KServe",
        "/kserve-controller",
        ("serving.kserve.io",),
        (Kind("InferenceService", "/apis/serving.kserve.io/v1beta1/inferenceservices", ("inferenceservice",)),),
    ),
    Controller(
        "Argo Workflows",
        "/workflow-controller",
        ("argoproj.io",),
        (
            Kind("Workflow", "/apis/argoproj.io/v1alpha1/workflows", ("workflows.argoproj.io/",)),
            Kind("Pod", "/api/v1/pods", ("workflows.argoproj.io/",)),
        ),
    ),
    Controller(
        "cert-manager",
        "/cert-manager-controller",
        ("cert-manager.io", "acme.cert-manager.io"),
        (Kind("Challenge", "/apis/acme.cert-manager.io/v1/challenges", ("acme.cert-manager.io/", "finalizer.acme")),),
    ),
)
"""Controllers whose objects keep namespaces and queues from being deleted. Sources: the constants of finalizers in
their repositories, of the versions that the library pins. JobSet, LeaderWorkerSet and Kubeflow Trainer set none."""


@dataclass(frozen=True)
class _Held:
    """An object with finalizers of a controller."""

    path: str
    text: str
    others: list[str]
    deleted: bool


def release(api: Api, report: Report, until: float, pause: float) -> list[str]:
    """Waits until no controller holds anything that the destroy has to wait for. Returns what is still held when the
    time is over.

    Args:
        api: the cluster's API.
        report: shows a line to the user who runs the destroy.
        until: when the time is over, by `time.monotonic`.
        pause: seconds between two inspections.
    """
    reported: dict[str, float] = {}
    while True:
        remaining, trouble = [], ""
        try:
            for controller in CONTROLLERS:
                remaining += _round(api, controller, lambda text: _once(report, reported, text))
        except (ApiError, Unreachable) as error:  # the next round tries again
            trouble = str(error)
        if not remaining and not trouble:
            return []
        if time.monotonic() > until:
            return [*remaining, *([f"last error: {trouble}"] if trouble else [])]
        time.sleep(pause)


def _once(report: Report, reported: dict[str, float], text: str) -> None:
    """Shows a line, and again only after a while."""
    now = time.monotonic()
    if now - reported.get(text, -_PROGRESS_SECONDS) >= _PROGRESS_SECONDS:
        reported[text] = now
        report(text)


def _round(api: Api, controller: Controller, report: Report) -> list[str]:
    """One step for one controller. Returns what still has to be waited for."""
    held = [each for kind in controller.kinds for each in _held(api, kind)]
    if not held:
        return []
    if not _runs(api, controller):
        report(f"{controller.name} does not run any more: its finalizers are removed from {len(held)} objects")
        _disconnect(api, controller)
        for each in held:
            _patch(api, each.path, {"metadata": {"finalizers": each.others}})
        return [each.text for each in held]
    if controller.drains:
        return _drained(api, report)
    for each in held:
        if not each.deleted:
            api.delete(each.path)
    report(f"waiting for {controller.name} to remove its finalizers")
    return [each.text for each in held]


def _drained(api: Api, report: Report) -> list[str]:
    """Stops every queue. Returns the workloads that still hold quota: while there are any, their ClusterQueue cannot be
    deleted."""
    holding = [each for each in api.list(_WORKLOADS) if _has_quota(each)]
    if not holding:
        return []
    for queue in api.list(_QUEUES):
        if queue["spec"].get("stopPolicy") != DRAIN:
            _patch(api, f"{_QUEUES}/{queue['metadata']['name']}", {"spec": {"stopPolicy": DRAIN}})
    report("stopping the workloads that hold quota in Kueue's queues")
    return [f"Workload {each['metadata']['namespace']}/{each['metadata']['name']}" for each in holding]


def _patch(api: Api, path: str, body: Object) -> None:
    """Changes an object, if it still exists."""
    try:
        api.patch(path, body)
    except ApiError as error:
        if error.status != 404:
            raise


def _has_quota(workload: Object) -> bool:
    conditions = (workload.get("status") or {}).get("conditions") or []
    state = {each["type"]: each["status"] for each in conditions}
    return state.get("QuotaReserved") == "True" and state.get("Finished") != "True"


def _held(api: Api, kind: Kind) -> Iterator[_Held]:
    for found in api.list(kind.path):
        meta = found["metadata"]
        finalizers = meta.get("finalizers") or []
        others = [each for each in finalizers if not each.startswith(kind.finalizers)]
        if len(others) < len(finalizers):
            namespace = meta.get("namespace", "")
            head, _, plural = kind.path.rpartition("/")
            path = f"{head}/namespaces/{namespace}/{plural}" if namespace else kind.path
            text = f"{kind.name} {namespace}/{meta['name']}" if namespace else f"{kind.name} {meta['name']}"
            yield _Held(f"{path}/{meta['name']}", text, others, bool(meta.get("deletionTimestamp")))


def _runs(api: Api, controller: Controller) -> bool:
    """Whether a pod of the controller is available, whatever its namespace and registry."""
    for deployment in api.list(_DEPLOYMENTS):
        containers = deployment["spec"]["template"]["spec"].get("containers") or []
        names = [each.get("image", "").partition("@")[0].rpartition(":")[0] for each in containers]
        if any(name.endswith(controller.image) for name in names):
            return bool((deployment.get("status") or {}).get("availableReplicas"))
    return False


def _disconnect(api: Api, controller: Controller) -> None:
    """Removes the webhooks of a controller that does not run: they would refuse every change of its objects."""
    for sort in ("mutating", "validating"):
        collection = _WEBHOOKS.format(sort)
        for found in api.list(collection):
            rules = [rule for webhook in found.get("webhooks") or [] for rule in webhook.get("rules") or []]
            if any(group in controller.groups for rule in rules for group in rule.get("apiGroups") or []):
                api.delete(f"{collection}/{found['metadata']['name']}")
