"""GKE's ComputeClasses, as far as they order existing node pools (`priorities[].nodepools`).

Sources: the Go types of GoogleCloudPlatform/compute-class-api and pkg/computeclass of GKE's autoscaler, both 2026-08.
Not simulated: rules that describe machines instead of naming pools, auto-creation, active migration, and GKE's webhook
that adds the toleration to pods which select a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.cloud import Group

LABEL = "cloud.google.com/compute-class"
NODE_POOL = "cloud.google.com/gke-nodepool"
PATH = "/apis/cloud.google.com/v1/computeclasses"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Classes:
    """The compute classes of a cluster by name."""

    found: dict[str, Object] = field(default_factory=dict)

    @staticmethod
    def read(api: Api, groups: Sequence[Group]) -> Classes:
        """Reads the classes from the API server. Called only if a pool names one."""
        if not any(LABEL in group.template.labels for group in groups):
            return Classes()
        try:
            return Classes({item["metadata"]["name"]: item for item in api.list(PATH)})
        except ApiError:
            return Classes()  # the kind does not exist

    def rank(self, group: Group) -> int:
        """A pool's rank, higher first; a pool without a class has the cloud's own order."""
        place = self._place(group)
        return group.priority if place is None else -place

    def bars(self, group: Group) -> str | None:
        """The reason why the autoscaler never makes this pool larger; None if there is none."""
        name = group.template.labels.get(LABEL)
        if name is None:
            return None
        if not any((taint.key, taint.value) == (LABEL, name) for taint in group.template.taints):
            return f"its node pool has the label of ComputeClass {name} but not the taint (NodepoolMisconfigured)"
        if name not in self.found:
            return f"there is no ComputeClass {name}"
        if self._place(group) is None:
            return f"no priority of ComputeClass {name} names its node pool (NodepoolWillNeverScaleUp)"
        return None

    def _place(self, group: Group) -> int | None:
        labels = group.template.labels
        spec = self.found.get(labels.get(LABEL, ""), {}).get("spec", {})
        pool = labels.get(NODE_POOL)
        return next((i for i, rule in enumerate(spec.get("priorities", [])) if pool in rule.get("nodepools", [])), None)


def install(api: Api) -> None:
    """Adds the kind to an API server, as GKE's autoscaler does in a new cluster."""
    if api.get(f"{DEFINITIONS}/computeclasses.cloud.google.com") is None:
        api.create(DEFINITIONS, definition())


def definition() -> Object:
    """The CustomResourceDefinition, with the API's own validation rules for a class that names pools."""
    rule = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            "nodepools": {"type": "array", "maxItems": 100, "items": {"type": "string"}},
            "machineFamily": {"type": "string"},
            "machineType": {"type": "string"},
            "spot": {"type": "boolean"},
        },
        "x-kubernetes-validations": [
            {
                "rule": "!has(self.nodepools) || !(has(self.machineFamily) || has(self.machineType) || has(self.spot))",
                "message": "Nodepool field cannot be set along with other nodepool configuration fields",
            }
        ],
    }
    spec = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {
            "priorities": {"type": "array", "maxItems": 1000, "items": rule},
            "nodePoolAutoCreation": {"type": "object", "properties": {"enabled": {"type": "boolean"}}},
            "activeMigration": {
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
                "properties": {"optimizeRulePriority": {"type": "boolean"}},
            },
            "whenUnsatisfiable": {
                "type": "string",
                "enum": ["ScaleUpAnyway", "DoNotScaleUp"],
                "default": "DoNotScaleUp",
            },
        },
    }
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "computeclasses.cloud.google.com"},
        "spec": {
            "group": "cloud.google.com",
            "scope": "Cluster",
            "names": {
                "kind": "ComputeClass",
                "listKind": "ComputeClassList",
                "plural": "computeclasses",
                "singular": "computeclass",
                "shortNames": ["cc", "ccs"],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
