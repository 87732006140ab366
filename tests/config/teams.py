"""Mistakes in teams: stack, changes, path, text of the only error."""

from __future__ import annotations

from typing import Any

ARN = "arn:aws:iam::123456789012:role/research"


def one(**spec: Any) -> dict[str, Any]:
    """A file with one team."""
    return {"gpuyard:teams": {"training": spec}}


DOMAIN = {"gpuyard:cluster/groupsDomain": "example.com"}
BOTH: list[tuple[dict[str, Any], str, list[str]]] = [
    (one(quotas={}), "gpuyard:teams.training.quotas", ["unknown key", "write `quota`"]),
    (one(quota={"gpu": 8}), "gpuyard:teams.training.quota.gpu", ["unknown key", "write `gpus`"]),
    (one(quota={"gpus": -1}), "gpuyard:teams.training.quota.gpus", ["0 to 100000"]),
    (one(quota={"memoryGib": "64Gi"}), "gpuyard:teams.training.quota.memoryGib", ["a whole number"]),
    (
        one(limits={"maxMemoryGib": 1, "memoryMib": 2048}),
        "gpuyard:teams.training.limits.memoryMib",
        ["more than `maxMemoryGib`, 1", "up to 1024"],
    ),
    (
        one(limits={"maxCpu": 96}, quota={"cpu": 64}),
        "gpuyard:teams.training.limits.maxCpu",
        ["the team's quota, 64", "`quota.cpu`"],
    ),
    (one(namespace="kube-system"), "gpuyard:teams.training.namespace", ["cluster's own components"]),
    (one(namespace="gmp-system"), "gpuyard:teams.training.namespace", ["cluster's own components"]),
    (one(namespace="gke-managed-cim"), "gpuyard:teams.training.namespace", ["cluster's own components"]),
    (one(namespace="kueue-system"), "gpuyard:teams.training.namespace", ["cluster's own components"]),
    (one(namespace="Team"), "gpuyard:teams.training.namespace", ["lower-case letters"]),
    ({"gpuyard:teams": {"monitoring": {}}}, "gpuyard:teams.monitoring", ["cluster's own components", "`namespace`"]),
    ({"gpuyard:teams": {"Training": {"namespace": "a"}}}, "gpuyard:teams.Training", ["rename the team"]),
    (
        {"gpuyard:teams": {"a": {}, "b": {"namespace": "a"}}},
        "gpuyard:teams.b.namespace",
        ["the namespace of a", "make them one team"],
    ),
    (one(namespace=""), "gpuyard:teams.training.namespace", ["empty", "remove it for training"]),
    (one(namespace="cert-manager"), "gpuyard:teams.training.namespace", ["cluster's own components"]),
    ({"gpuyard:teams": {"Training": {}}}, "gpuyard:teams.Training", ["1 to 62", "rename the team"]),
    (
        {"gpuyard:teams": {"default": {"namespace": "a"}}},
        "gpuyard:teams.default.serviceAccount",
        ["pods that name none"],
    ),
    (one(podSecurity="none"), "gpuyard:teams.training.podSecurity", ["restricted, baseline, privileged"]),
    (one(serviceAccount="default"), "gpuyard:teams.training.serviceAccount", ["pods that name none"]),
    (one(network={"egressCidrs": ["0.0.0.0/0"]}), "gpuyard:teams.training.network.egressCidrs[0]", ["internet: true"]),
    (one(network={"internet": "yes"}), "gpuyard:teams.training.network.internet", ["true or false"]),
    (one(role={"buckets": ["data"]}), "gpuyard:teams.training.role.buckets[0]", ["there is none", "add it there"]),
    (one(deletionProtection="off"), "gpuyard:teams.training.deletionProtection", ["true or false"]),
]
"""Mistakes that are the same on both clouds."""

MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    *((stack, *each) for stack in ("dev", "dev-gke") for each in BOTH),
    (
        "dev",
        one(members={"edit": ["group:ml@example.com"]}),
        "gpuyard:teams.training.members.edit[0]",
        ["not the ARN of an IAM role or user"],
    ),
    (
        "dev",
        one(members={"edit": ["arn:aws:sts::123456789012:assumed-role/research/ann"]}),
        "gpuyard:teams.training.members.edit[0]",
        ["a session of a role"],
    ),
    (
        "dev",
        one(members={"admin": [ARN], "view": [ARN]}),
        "gpuyard:teams.training.members.view[0]",
        ["the same as admin[0]"],
    ),
    ("dev", one(members={"owner": [ARN]}), "gpuyard:teams.training.members.owner", ["unknown key", "`admin`"]),
    (
        "dev",
        one(role={"policyArns": ["ReadOnlyAccess"]}),
        "gpuyard:teams.training.role.policyArns[0]",
        ["not the ARN of a policy"],
    ),
    ("dev", one(role={"roles": ["roles/pubsub.viewer"]}), "gpuyard:teams.training.role.roles", ["on gcp only"]),
    (
        "dev",
        {"gpuyard:cluster": {"addonVersions": {"vpc-cni": "v1.13.4-eksbuild.1"}, "publicAccessCidrs": ["8.8.8.0/24"]}},
        "gpuyard:cluster.addonVersions.vpc-cni",
        ["does not enforce NetworkPolicies", "v1.14.0"],
    ),
    (
        "dev",
        {"gpuyard:cluster/access": {"a": {"principalArn": ARN, "level": "view", "groups": ["system:masters"]}}},
        "gpuyard:cluster.access.a.groups[0]",
        ["EKS reserves"],
    ),
    ("dev-gke", one(members={"edit": [ARN]}), "gpuyard:teams.training.members.edit[0]", ["group:NAME"]),
    (
        "dev-gke",
        one(members={"edit": ["user:ann"]}),
        "gpuyard:teams.training.members.edit[0]",
        ["user:NAME@DOMAIN"],
    ),
    (
        "dev-gke",
        one(members={"edit": ["group:ml@example.com"]}),
        "gpuyard:teams.training.members.edit[0]",
        ["does not know Google groups", "`groupsDomain`"],
    ),
    (
        "dev-gke",
        DOMAIN | one(members={"edit": ["group:ml@example.com"], "view": ["group:ml@example.com"]}),
        "gpuyard:teams.training.members.view[0]",
        ["the same as edit[0]"],
    ),
    (
        "dev-gke",
        one(role={"roles": ["roles/editor"]}),
        "gpuyard:teams.training.role.roles[0]",
        ["a basic role"],
    ),
    (
        "dev-gke",
        one(role={"policyArns": ["arn:aws:iam::aws:policy/A"]}),
        "gpuyard:teams.training.role.policyArns",
        ["on aws only"],
    ),
]
