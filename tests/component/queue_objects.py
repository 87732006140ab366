"""Recorded queues, and the objects in the cluster that they consist of."""

from __future__ import annotations

from typing import Any

from components.sharing.queues import Queues
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, aws_options, gcp_options

EKS_POOLS: dict[str, Any] = {"gpu-workers": GUIDE_GPU, "cpu-workers": GUIDE_CPU}
TEAMS: dict[str, Any] = {"vision": {}, "nlp": {}}
Object = dict[str, Any]


def recorded(cloud: str = "aws", node_pools: dict[str, Any] = EKS_POOLS, **args: Any) -> Recording:
    """Recorded `Queues` of two teams."""
    options = aws_options if cloud == "aws" else gcp_options
    given: Any = {"cloud": cloud, "node_pools": node_pools, "teams": TEAMS, **args}
    return run(lambda: Queues("queues", given, options()))


def objects(found: Recording, kind: str) -> dict[str, Object]:
    """Name → object of a kind, as the cluster gets it."""
    made = [each.inputs for each in found.resources.values() if each.inputs.get("kind") == kind]
    return {each["metadata"]["name"]: each for each in made}


def quotas(found: Recording, queue: str, kind: str = "ClusterQueue") -> dict[str, dict[str, str]]:
    """Flavor → resource → nominal quota, in the queue's order of flavors."""
    (group,) = objects(found, kind)[queue]["spec"]["resourceGroups"]
    return {
        flavor["name"]: {each["name"]: each["nominalQuota"] for each in flavor["resources"]}
        for flavor in group["flavors"]
    }


def in_order(found: Recording) -> list[Object]:
    """Every object of the cluster, each after those that it names."""
    kinds = ("Topology", "ProvisioningRequestConfig", "AdmissionCheck", "ResourceFlavor", "Cohort", "ClusterQueue")
    return [each for kind in kinds for each in objects(found, kind).values()]
