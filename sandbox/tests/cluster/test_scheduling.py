"""The autoscaler's check that a pod fits, compared with the real scheduler on many random small clusters.

Each case has one to three separate nodes (a label keeps the cases apart), some pods on them, and one pod to place. The
real scheduler and `misfit` must agree on whether it can be placed, and on a node that accepts it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox.cluster.api import Api, Object
from sandbox.cluster.cloud import Taint
from sandbox.cluster.kwok import ANNOTATION
from sandbox.cluster.quantity import parse_all
from sandbox.cluster.scheduling import NodeInfo, misfit
from sandbox.tests.cluster.conftest import Pods, wait

CASES = 50
GPU = "nvidia.com/gpu"
TAINTS = [
    {"key": GPU, "value": "true", "effect": "NoSchedule"},
    {"key": GPU, "value": "present", "effect": "NoSchedule"},
    {"key": "team", "value": "a", "effect": "NoExecute"},
    {"key": "soft", "value": "", "effect": "PreferNoSchedule"},
]
TOLERATIONS = [
    {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
    {"key": GPU, "operator": "Equal", "value": "true", "effect": "NoSchedule"},
    {"key": "team", "operator": "Exists"},
    {"operator": "Exists"},
]
EXPRESSIONS = [
    {"key": "workload", "operator": "In", "values": ["gpu-training", "other"]},
    {"key": "workload", "operator": "NotIn", "values": ["gpu-training"]},
    {"key": "workload", "operator": "Exists"},
    {"key": "workload", "operator": "DoesNotExist"},
    {"key": "size", "operator": "Gt", "values": ["4"]},
    {"key": "size", "operator": "Lt", "values": ["4"]},
]
ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


@dataclass
class Case:
    nodes: list[Object]
    there: list[Object]
    pod: Object

    def node_infos(self) -> list[NodeInfo]:
        node_infos = []
        for node in self.nodes:
            taints = [Taint(t["key"], t["value"], t["effect"]) for t in node["spec"]["taints"]]
            name, free = node["metadata"]["name"], parse_all(node["status"]["allocatable"])
            node_info = NodeInfo(name, node["metadata"]["labels"], taints, free, [], node["spec"]["unschedulable"])
            for pod in self.there:
                if pod["spec"]["nodeName"] == name:
                    node_info.add(pod)
            node_infos.append(node_info)
        return node_infos

    def takers(self) -> dict[str, str | None]:
        node_infos = self.node_infos()
        return {
            node_info.name: misfit(self.pod, node_info, [r for r in node_infos if r is not node_info])
            for node_info in node_infos
        }


def some(chance: random.Random, choices: list, most: int) -> list:
    return chance.sample(choices, chance.randint(0, most))


def a_case(chance: random.Random, number: int, namespace: str) -> Case:
    case = f"c{number}"
    nodes = [a_node(chance, case, f"{namespace}-{case}-{n}") for n in range(chance.randint(1, 3))]
    there = [a_pod(chance, namespace, case, f"{case}-there-{n}") for n in range(chance.randint(0, 2))]
    for pod in there:
        pod["spec"] = {
            "containers": pod["spec"]["containers"],
            "affinity": pod["spec"].get("affinity", {}),
            "tolerations": [{"operator": "Exists"}],
            "nodeName": chance.choice(nodes)["metadata"]["name"],
        }
    return Case(nodes, there, a_pod(chance, namespace, case, case))


def a_node(chance: random.Random, case: str, name: str) -> Object:
    labels = {"case": case, HOST: name, "size": str(chance.choice([2, 4, 8]))}
    if chance.random() < 0.9:
        labels[ZONE] = chance.choice(["a", "b"])
    if chance.random() < 0.6:
        labels["workload"] = chance.choice(["gpu-training", "serving"])
    resources = {"cpu": chance.choice(["2", "7910m"]), "memory": "30Gi", "pods": chance.choice(["1", "2", "58"])}
    resources["ephemeral-storage"] = chance.choice(["20Gi", "200Gi"])
    if chance.random() < 0.5:
        resources[GPU] = chance.choice(["1", "8"])
    return {
        "metadata": {"name": name, "labels": labels, "annotations": {ANNOTATION: "fake"}},
        "spec": {"taints": some(chance, TAINTS[1:], 2), "unschedulable": chance.random() < 0.1},
        "status": {"capacity": resources, "allocatable": resources},
    }


def a_pod(chance: random.Random, namespace: str, case: str, name: str) -> Object:
    def container(name: str, **more: object) -> Object:
        needs = {"cpu": chance.choice(["100m", "1", "3"]), "memory": chance.choice(["1Gi", "16G"])}
        limits = {GPU: "1"} if chance.random() < 0.2 else {}
        if chance.random() < 0.3:
            needs["ephemeral-storage"] = "50Gi"
        return {"name": name, "image": "a", "resources": {"requests": needs, "limits": limits}, **more}

    containers = [container(f"main-{n}") for n in range(chance.randint(1, 2))]
    if chance.random() < 0.15:
        containers[0]["ports"] = [{"containerPort": 80, "hostPort": 8080}]
    spec: Object = {"containers": containers, "nodeSelector": {"case": case}, "affinity": {}}
    if chance.random() < 0.3:
        spec["initContainers"] = [container("init"), container("sidecar", restartPolicy="Always")]
    if tolerations := some(chance, TOLERATIONS, 2):
        spec["tolerations"] = tolerations
    if chance.random() < 0.3:
        terms = [{"matchExpressions": [want]} for want in chance.sample(EXPRESSIONS, chance.randint(1, 2))]
        spec["affinity"]["nodeAffinity"] = {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}
        }
    near = {"labelSelector": {"matchLabels": {"case": case}}, "topologyKey": chance.choice([ZONE, HOST])}
    for kind, share in (("podAffinity", 0.15), ("podAntiAffinity", 0.2)):
        if chance.random() < share:
            spec["affinity"][kind] = {"requiredDuringSchedulingIgnoredDuringExecution": [near]}
    if chance.random() < 0.2:
        spec["topologySpreadConstraints"] = [{**near, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]
    return {"metadata": {"name": name, "namespace": namespace, "labels": {"case": case}}, "spec": spec}


@pytest.fixture
def cases(api: Api, namespace: str) -> Iterator[list[Case]]:
    chance = random.Random(20)
    made = [a_case(chance, number, namespace) for number in range(CASES)]
    for case in made:
        for node in case.nodes:
            api.create("/api/v1/nodes", node)
    names = {node["metadata"]["name"] for case in made for node in case.nodes}

    def settled() -> bool:
        return all(
            not any(t["key"] == "node.kubernetes.io/not-ready" for t in node["spec"].get("taints") or ())
            for node in api.list("/api/v1/nodes")
            if node["metadata"]["name"] in names
        )

    wait(settled, "the nodes")
    yield made
    for name in names:
        api.delete(f"/api/v1/nodes/{name}", grace=0)


def test_the_real_scheduler_agrees_on_what_fits(api: Api, cases: list[Case], pods: Pods) -> None:
    """seed rows S04, S07, S08, S09, S10: nodes are ordered only for pods that the scheduler can place on them."""
    for case in cases:
        for pod in case.there:
            api.request("POST", pods.path, pod)
    for case in cases:
        # As admission completes it: ExtendedResourceToleration and defaulted requests count for both sides.
        case.pod = api.request("POST", pods.path, case.pod)

    def decided() -> dict[str, Object] | None:
        found = {pod["metadata"]["name"]: pod for pod in api.list(pods.path)}
        answers = [found[case.pod["metadata"]["name"]]["status"].get("conditions") for case in cases]
        return found if all(answers) else None

    found = wait(decided, "the scheduler's decisions", 120)
    wrong = []
    for case in cases:
        pod, takers = found[case.pod["metadata"]["name"]], case.takers()
        node = pod["spec"].get("nodeName")
        agreed = takers[node] is None if node else all(takers.values())
        if not agreed:
            verdict = pod["status"]["conditions"][0].get("message", f"placed on {node}")
            wrong.append(f"{pod['metadata']['name']}: we say {takers}, the scheduler {verdict}")
    assert not wrong, "\n".join(wrong)
    placed = sum(bool(found[case.pod["metadata"]["name"]]["spec"].get("nodeName")) for case in cases)
    assert CASES * 0.15 < placed < CASES * 0.85, "the cases should be a mixture"
