"""What a team's members must not write into objects that they may otherwise create: rules of admission, because roles
see no fields.

Sources: CVE-2020-8554 for external IPs (GKE refuses them by default, EKS does not); kubernetes.io's "Validating
Admission Policy", v1 since Kubernetes 1.30.
"""

from typing import Any

import pulumi

_MONITORS = ["podmonitors", "servicemonitors"]
# What the API server fills in; written, so that the state is what the server keeps.
_EVERYTHING: dict[str, Any] = {"namespace_selector": {}, "object_selector": {}, "match_policy": "Equivalent"}


def spec() -> Any:
    """The spec of a ValidatingAdmissionPolicy."""
    return {
        "failure_policy": "Fail",
        "match_constraints": {
            **_EVERYTHING,
            "resource_rules": [
                _rule("", ["services"]),
                _rule("monitoring.coreos.com", _MONITORS),
            ],
        },
        "validations": [
            {
                "expression": "object.kind != 'Service' || !has(object.spec.externalIPs) || "
                "object.spec.externalIPs.size() == 0",
                "message": "a team's Service has no externalIPs, which would take over traffic of the whole cluster "
                "(CVE-2020-8554); use a load balancer or an Ingress",
            },
            {
                "expression": "object.kind == 'Service' || !has(object.spec.namespaceSelector) || "
                "((!has(object.spec.namespaceSelector.any) || !object.spec.namespaceSelector.any) && "
                "(!has(object.spec.namespaceSelector.matchNames) || "
                "object.spec.namespaceSelector.matchNames.all(name, name == object.metadata.namespace)))",
                "message": "a team's monitor reads its own namespace only; remove namespaceSelector",
            },
        ],
    }


def binding(policy: pulumi.Input[str], namespace: pulumi.Input[str]) -> Any:
    """The spec of the ValidatingAdmissionPolicyBinding that applies the policy to a namespace."""
    return {
        "policy_name": policy,
        "validation_actions": ["Deny"],
        "match_resources": {
            **_EVERYTHING,
            "namespace_selector": {"match_labels": {"kubernetes.io/metadata.name": namespace}},
        },
    }


def _rule(group: str, resources: list[str]) -> dict[str, Any]:
    return {
        "api_groups": [group],
        "api_versions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": resources,
        "scope": "*",
    }
