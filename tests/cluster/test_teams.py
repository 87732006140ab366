"""Teams on a real API server: quota and limits act, roles allow what they should and no more, pod security refuses."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
import yaml

from components.sharing.team import Team
from recording.recorder import run
from recording.recording import Recording
from sandbox.cluster.api import Api, ApiError
from sandbox.cluster.control_plane import ControlPlane
from sandbox.paths import ROOT
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.tests.cluster.conftest import wait
from tests.component.stage import aws_options

LEVELS = ("admin", "edit", "view")
QUOTA = {"cpu": 4, "memory_gib": 16, "gpus": 2, "pods": 5, "claims": 2, "storage_gib": 100}
LIMITS = {"max_cpu": 3, "max_claim_gib": 80}
TEAMS: dict[str, Any] = {
    "red": {"quota": QUOTA, "limits": LIMITS, "members": {level: [f"group:red:{level}"] for level in LEVELS}},
    "green": {"service_account": "training", "members": {"edit": ["group:green:edit"]}},
    # Amounts that the API server writes in another unit.
    "blue": {
        "pod_security": "restricted",
        "members": {"edit": ["group:blue:edit"]},
        "quota": {"pods": 2000, "storage_gib": 2048},
        "limits": {"cpu_millicores": 1000, "memory_mib": 1536},
    },
}


def recorded() -> Recording:
    def program() -> None:
        options = aws_options()
        for name, args in TEAMS.items():
            Team(name, {"team": name, "cloud": "aws", **args}, pulumi.ResourceOptions.merge(options, None))

    return run(program)


@pytest.fixture(scope="module", autouse=True)
def teams(plane: ControlPlane, api: Api) -> Iterator[Recording]:
    """Two teams, applied as the engine does: in the order of their registration, which is that of dependencies."""
    provider, made = KubernetesProvider(), recorded()
    provider.configure({"kubeconfig": plane.kubeconfig.read_text()})
    for found in made.resources.values():
        if found.package != "kubernetes":
            continue
        checked, failures = provider.check(found.type, found.urn, {}, found.inputs, b"")
        assert not failures, failures
        _, outputs = provider.create(found.type, found.urn, checked, False, 30)
        expected = {key: value for key, value in found.inputs.items() if key in ("spec", "rules", "subjects")}
        assert {key: outputs[key] for key in expected} == expected, f"{found} is not what the server keeps"
    for name in ("team", "team-system-pods"):
        path = f"/api/v1/namespaces/red/resourcequotas/{name}"
        wait(lambda path=path: api.request("GET", path).get("status"), "the first count")
    yield made
    for name in TEAMS:
        api.delete(f"/api/v1/namespaces/{name}")
        for kind in (
            "rbac.authorization.k8s.io/v1/clusterroles",
            "rbac.authorization.k8s.io/v1/clusterrolebindings",
            "admissionregistration.k8s.io/v1/validatingadmissionpolicies",
            "admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
        ):
            api.delete(f"/apis/{kind}/gpuyard-team-{name}")


def pod(name: str, **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "example.org/a:1", **container}]},
    }


RANKED = pod("ranked")
RANKED["spec"]["priorityClassName"] = "system-node-critical"


def refusal(api: Api, path: str, body: dict[str, Any]) -> str:
    """The API server's message; '' if it accepts a dry run of the creation."""
    try:
        api.request("POST", path, body, dryRun="All")
    except ApiError as error:
        return str(error)
    return ""


PODS, CLAIMS, SERVICES = (f"/api/v1/namespaces/red/{kind}" for kind in ("pods", "persistentvolumeclaims", "services"))


def claim(gib: int) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": f"{gib}Gi"}}}
    return {"metadata": {"name": f"c-{gib}"}, "spec": spec}


def test_a_pod_without_requests_works_under_the_quota(api: Api) -> None:
    """seed rows S22 and S08: the limits fill requests, so that the quota accepts the pod and counts it. The pod has no
    token."""
    api.request("POST", PODS, pod("plain"))
    found = api.request("GET", f"{PODS}/plain")["spec"]
    resources = found["containers"][0]["resources"]
    assert resources == {"limits": {"cpu": "3", "memory": "2Gi"}, "requests": {"cpu": "500m", "memory": "2Gi"}}
    assert found["serviceAccountName"] == "default" and not found.get("volumes"), "a token is mounted"

    def used() -> bool:
        quota = api.request("GET", "/api/v1/namespaces/red/resourcequotas/team")
        return quota["status"]["used"]["requests.cpu"] == "500m"

    wait(used, "the count of the pod")
    api.delete(f"{PODS}/plain", grace=0)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (PODS, pod("cpu", resources={"requests": {"cpu": "3"}, "limits": {"cpu": "4"}}), "maximum cpu usage"),
        (PODS, pod("gpus", resources={"limits": {"nvidia.com/gpu": "3"}}), "exceeded quota: team"),
        (PODS, pod("memory", resources={"limits": {"cpu": "1", "memory": "20Gi"}}), "exceeded quota"),
        (PODS, pod("alone", resources={"requests": {"memory": "4Gi"}}), "less than or equal to memory limit"),
        (PODS, RANKED, "exceeded quota: team-system-pods"),
        (CLAIMS, claim(90), "maximum storage usage per PersistentVolumeClaim is 80Gi"),
        (
            SERVICES,
            {"metadata": {"name": "lb"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}},
            "exceeded quota",
        ),
        (
            SERVICES,
            {"metadata": {"name": "np"}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}},
            "exceeded quota",
        ),
        (
            "/apis/networking.k8s.io/v1/namespaces/red/ingresses",
            {"metadata": {"name": "in"}, "spec": {"defaultBackend": {"resource": {"kind": "Any", "name": "a"}}}},
            "exceeded quota",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)  # fmt: skip
def test_quota_and_limits_refuse_what_exceeds_them(api: Api, path: str, body: dict[str, Any], words: str) -> None:
    """seed row S22."""
    assert words in refusal(api, path, body)


def test_what_fits_is_accepted(api: Api) -> None:
    """Otherwise the refusals above would prove nothing."""
    gpus = pod("gpus", resources={"limits": {"nvidia.com/gpu": "2", "cpu": "2", "memory": "8Gi"}})
    service = {"metadata": {"name": "inside"}, "spec": {"ports": [{"port": 80}]}}
    assert [refusal(api, path, body) for path, body in ((PODS, gpus), (CLAIMS, claim(80)), (SERVICES, service))] == [
        ""
    ] * 3


def test_a_service_of_a_team_takes_over_no_address(api: Api) -> None:
    """CVE-2020-8554. Elsewhere in the cluster nothing changes."""
    service = {"metadata": {"name": "trap"}, "spec": {"ports": [{"port": 80}], "externalIPs": ["203.0.113.7"]}}
    wait(lambda: "CVE-2020-8554" in refusal(api, SERVICES, service), "the policy")
    assert refusal(api, "/api/v1/namespaces/default/services", service) == ""


@pytest.mark.parametrize("selector", [{"any": True}, {"matchNames": ["red", "green"]}])
def test_a_monitor_of_a_team_reads_its_own_namespace_only(
    api: Api, pod_monitors: None, selector: dict[str, Any]
) -> None:
    path = "/apis/monitoring.coreos.com/v1/namespaces/red/podmonitors"

    def monitor(namespaces: dict[str, Any]) -> dict[str, Any]:
        spec = {"selector": {}, "podMetricsEndpoints": [{"port": "metrics"}], "namespaceSelector": namespaces}
        kind = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor"}
        return {**kind, "metadata": {"name": "m"}, "spec": spec}

    wait(lambda: "its own namespace" in refusal(api, path, monitor(selector)), "the policy")
    assert refusal(api, path, monitor({})) == refusal(api, path, monitor({"matchNames": ["red"]})) == ""


@pytest.fixture(scope="module")
def pod_monitors(api: Api) -> Iterator[None]:
    """The kind PodMonitor with any fields, unless the cluster has it."""
    path, name = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "podmonitors.monitoring.coreos.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "PodMonitor", "plural": "podmonitors", "singular": "podmonitor", "listKind": "PodMonitorList"}
    spec = {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": names, "versions": [version]}
    try:
        api.request("POST", path, {"metadata": {"name": name}, "spec": spec})
    except ApiError as error:
        assert error.status == 409
        yield
        return
    wait(lambda: not refusal_of_list(api), "the kind")
    yield
    api.delete(f"{path}/{name}")


def refusal_of_list(api: Api) -> str:
    """Why PodMonitors cannot be listed; '' if they can."""
    try:
        api.request("GET", "/apis/monitoring.coreos.com/v1/namespaces/red/podmonitors")
    except ApiError as error:
        return str(error)
    return ""


def test_pod_security_refuses_pods_that_could_take_over_a_node(api: Api) -> None:
    """seed row S22: baseline by default, restricted by choice."""
    for spec in ({"hostNetwork": True}, {"hostPID": True}, {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}):
        body = pod("host")
        body["spec"] |= spec
        assert 'violates PodSecurity "baseline' in refusal(api, PODS, body), spec
    assert 'violates PodSecurity "baseline' in refusal(api, PODS, pod("root", securityContext={"privileged": True}))
    assert 'violates PodSecurity "restricted' in refusal(api, PODS.replace("red", "blue"), pod("plain"))


# Verb, group, kind: what members do all day, and what none of them may do.
WORK = [
    ("create", "", "pods"), ("delete", "", "pods"), ("create", "", "pods/exec"), ("get", "", "pods/exec"),
    ("create", "", "pods/portforward"), ("create", "batch", "jobs"), ("delete", "batch", "jobs"),
    ("create", "apps", "deployments"), ("patch", "apps", "deployments/scale"),
    ("create", "", "persistentvolumeclaims"), ("create", "", "secrets"), ("get", "", "secrets"),
    ("create", "jobset.x-k8s.io", "jobsets"), ("create", "trainer.kubeflow.org", "trainjobs"),
    ("create", "argoproj.io", "workflows"), ("create", "serving.kserve.io", "inferenceservices"),
    ("create", "keda.sh", "scaledobjects"), ("create", "leaderworkerset.x-k8s.io", "leaderworkersets"),
    ("create", "monitoring.coreos.com", "podmonitors"),
]  # fmt: skip
READ = [
    ("get", "", "pods"), ("get", "", "pods/log"), ("list", "", "events"), ("list", "batch", "jobs"),
    ("get", "", "resourcequotas"), ("list", "kueue.x-k8s.io", "workloads"), ("get", "kueue.x-k8s.io", "localqueues"),
    ("get", "visibility.kueue.x-k8s.io", "localqueues/pendingworkloads"), ("get", "", "namespaces"),
    ("list", "networking.k8s.io", "networkpolicies"), ("get", "metrics.k8s.io", "pods"),
]  # fmt: skip
LEAD = [
    ("update", "kueue.x-k8s.io", "workloads"), ("create", "", "serviceaccounts"),
    ("create", "networking.k8s.io", "ingresses"),
]  # fmt: skip
NEVER = [
    *[(verb, "", kind) for kind in ("resourcequotas", "limitranges") for verb in ("create", "update", "delete")],
    *[(verb, "networking.k8s.io", "networkpolicies") for verb in ("create", "patch", "delete")],
    *[(verb, "kueue.x-k8s.io", "localqueues") for verb in ("create", "update", "delete")],
    *[("create", "rbac.authorization.k8s.io", kind) for kind in ("roles", "rolebindings")],
    ("escalate", "rbac.authorization.k8s.io", "roles"), ("bind", "rbac.authorization.k8s.io", "roles"),
    ("impersonate", "", "serviceaccounts"), ("create", "", "serviceaccounts/token"), ("update", "", "namespaces"),
    ("delete", "", "namespaces"), ("create", "apps", "daemonsets"), ("create", "", "pods/ephemeralcontainers"),
]  # fmt: skip


def may(api: Api, group: str, wanted: tuple[str, str, str], namespace: str) -> bool:
    """The API server's decision, as `kubectl auth can-i` shows it."""
    verb, api_group, kind = wanted
    resource, _, sub = kind.partition("/")
    asked = {"verb": verb, "group": api_group, "resource": resource, "subresource": sub, "namespace": namespace}
    body = {"spec": {"user": "someone", "groups": [group, "system:authenticated"], "resourceAttributes": asked}}
    answer = api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return answer["status"]["allowed"]


@pytest.mark.parametrize(("level", "allowed"), [("admin", READ + WORK + LEAD), ("edit", READ + WORK), ("view", READ)])
def test_members_may_do_what_their_level_allows_and_only_in_their_namespace(
    api: Api, level: str, allowed: list[tuple[str, str, str]]
) -> None:
    """seed row S22: by the API server's own authorization."""
    every = [*READ, *WORK, *LEAD, *NEVER]
    assert [each for each in every if may(api, f"red:{level}", each, "red")] == [
        each for each in every if each in allowed
    ]
    for namespace in ("blue", "default", "kube-system", ""):
        assert [each for each in every if may(api, f"red:{level}", each, namespace)] == [], namespace


@pytest.mark.parametrize("level", LEVELS)
def test_members_see_why_a_pod_waits_but_change_nothing_of_the_cluster(api: Api, level: str) -> None:
    """seed row S22."""
    seen = [
        ("list", "", "nodes"),
        ("get", "kueue.x-k8s.io", "clusterqueues"),
        ("list", "storage.k8s.io", "storageclasses"),
    ]
    assert all(may(api, f"red:{level}", each, "") for each in seen)
    closed = [
        ("list", "", "persistentvolumes"),
        ("list", "", "namespaces"),
        ("list", "", "secrets"),
        ("get", "", "nodes/proxy"),
    ]
    closed += [(verb, group, kind) for verb in ("update", "delete") for _, group, kind in seen]
    assert [each for each in closed if may(api, f"red:{level}", each, "")] == []


class Impersonating:
    """The connections of an `Api`, as a member: requests have the headers that `kubectl --as` sends."""

    def __init__(self, pool: Any, group: str) -> None:
        self.pool, self.headers = pool, {"Impersonate-User": "someone", "Impersonate-Group": group}

    def request(self, method: str, url: str, *, headers: dict[str, str], **more: Any) -> Any:
        return self.pool.request(method, url, headers={**headers, **self.headers}, **more)


def as_member(api: Api, group: str) -> Api:
    found = copy.copy(api)
    found._pool = Impersonating(api._pool, group)  # type: ignore[assignment]
    return found


def test_a_member_can_create_the_first_job_of_the_page(api: Api) -> None:
    """seed rows S22 and S08: docs/first-day.md. Its pod fits a team with the default limits."""
    page = (ROOT / "docs" / "first-day.md").read_text()
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    job = yaml.safe_load(text)
    assert refusal(as_member(api, "red:edit"), "/apis/batch/v1/namespaces/red/jobs", job) == ""
    green = "/api/v1/namespaces/green/pods"
    spec = {**job["spec"]["template"]["spec"]}
    assert refusal(as_member(api, "green:edit"), green, {"metadata": {"name": "first"}, "spec": spec}) == ""


def test_a_member_runs_a_job_and_cannot_touch_the_other_team(api: Api) -> None:
    """seed row S22: requests as a member, not only the server's answer about them."""
    red, blue = as_member(api, "red:edit"), as_member(api, "blue:edit")
    template = {"spec": {**pod("main")["spec"], "restartPolicy": "Never"}}
    job = {"metadata": {"name": "first"}, "spec": {"template": template}}
    jobs = "/apis/batch/v1/namespaces/red/jobs"
    red.request("POST", jobs, job)
    red.request("POST", "/api/v1/namespaces/red/secrets", {"metadata": {"name": "token"}, "stringData": {"a": "b"}})
    assert red.request("GET", "/api/v1/namespaces/red/secrets/token")["data"]
    for call in (
        lambda: blue.request("GET", "/api/v1/namespaces/red/secrets/token"),
        lambda: blue.request("DELETE", f"{jobs}/first"),
        lambda: red.request("POST", jobs.replace("red", "blue"), job),
        lambda: red.request("DELETE", "/api/v1/namespaces/red/resourcequotas/team"),
        lambda: red.request(
            "PATCH", "/api/v1/namespaces/red", {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json"
        ),
    ):
        with pytest.raises(ApiError) as refused:
            call()
        assert refused.value.status == 403
    red.delete(f"{jobs}/first")
