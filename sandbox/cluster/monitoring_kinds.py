"""The kinds for alert rules and pod scraping that a cluster has: the Prometheus operator's, and Google's on GKE.

Sources: the CRDs of prometheus-operator (example/prometheus-operator-crd, 0.82) and of GoogleCloudPlatform/
prometheus-engine (charts/operator/crds, 2026-07) with the Go types behind them. Each kind has only the fields that
users write for rules and plain endpoints; the API server refuses every other field, as it refuses a field that the real
kind does not have. Not simulated: the operators behind them (nothing is scraped or evaluated) and Google's webhook,
which reads the PromQL.
"""

from __future__ import annotations

from typing import Any

from sandbox.cluster.api import Api, Object
from sandbox.cluster.compute_class import DEFINITIONS

OPERATOR, GOOGLE = "monitoring.coreos.com", "monitoring.googleapis.com"

_TEXT: Object = {"type": "string"}
_NUMBER: Object = {"type": "integer"}
_MAP: Object = {"type": "object", "additionalProperties": _TEXT}
# The operator accepts Prometheus' durations; Google's kinds accept Go's.
_DURATION: Object = {"type": "string", "pattern": r"^(0|(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?)$"}
_GO_DURATION: Object = {"type": "string", "format": "duration"}


def _object(required: tuple[str, ...] = (), **properties: Object) -> Object:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _list(items: Object, **rules: Any) -> Object:
    return {"type": "array", "items": items, **rules}


_RULE = {"alert": _TEXT, "record": _TEXT, "labels": _MAP, "annotations": _MAP}
_PODS = _object(matchLabels=_MAP)
_KEY = {"name": _TEXT, "key": _TEXT}


def operators() -> list[Object]:
    """PrometheusRule and PodMonitor, as kube-prometheus-stack installs them."""
    expression = {"x-kubernetes-int-or-string": True}
    rule = _object(("expr",), **_RULE, expr=expression, **{"for": _DURATION, "keep_firing_for": _DURATION})
    group = _object(
        ("name",),
        name={**_TEXT, "minLength": 1},
        interval=_DURATION,
        limit=_NUMBER,
        labels=_MAP,
        query_offset=_DURATION,
        rules=_list(rule),
    )
    groups = _list(group, **{"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})
    endpoint = _object(
        port=_TEXT,
        portNumber=_NUMBER,
        path=_TEXT,
        scheme=_TEXT,
        interval=_DURATION,
        scrapeTimeout=_DURATION,
        honorLabels={"type": "boolean"},
        authorization=_object(type=_TEXT, credentials=_object(("key",), **_KEY)),
        tlsConfig=_object(insecureSkipVerify={"type": "boolean"}, serverName=_TEXT),
        relabelings=_list(_relabelling()),
        metricRelabelings=_list(_relabelling()),
    )
    monitor = _object(
        ("selector",),
        selector=_PODS,
        namespaceSelector=_object(any={"type": "boolean"}, matchNames=_list(_TEXT)),
        podMetricsEndpoints=_list(endpoint),
        jobLabel=_TEXT,
        podTargetLabels=_list(_TEXT),
    )
    return [
        _kind(OPERATOR, "PrometheusRule", "prometheusrules", _object(groups=groups)),
        _kind(OPERATOR, "PodMonitor", "podmonitors", monitor),
    ]


def googles() -> list[Object]:
    """ClusterRules, PodMonitoring and ClusterPodMonitoring, which a GKE cluster with managed Prometheus has from its
    creation."""
    record = {**_TEXT, "pattern": r"^[a-zA-Z0-9$\-_.+!*'(),%:]+$"}
    rule = _object(("expr",), **{**_RULE, "record": record}, expr=_TEXT, **{"for": _GO_DURATION})
    rule["x-kubernetes-validations"] = [
        {
            "rule": "(has(self.record) ? 1 : 0) + (has(self.alert) ? 1 : 0) == 1",
            "message": "Must set exactly one of Record or Alert",
        },
        {
            "rule": "!has(self.annotations) || has(self.alert)",
            "message": "Annotations are only allowed for alerting rules",
        },
    ]
    interval = {**_GO_DURATION, "default": "1m"}
    # Without upper bounds, the API server refuses the rules above as too expensive; the real CRD avoids that in another
    # way.
    group = _object(("name", "rules"), name=_TEXT, interval=interval, rules=_list(rule, minItems=1, maxItems=1000))
    endpoint = _object(
        ("port", "interval"),
        port={"x-kubernetes-int-or-string": True},
        interval=_GO_DURATION,
        timeout=_GO_DURATION,
        path=_TEXT,
        scheme=_TEXT,
        authorization=_object(
            type=_TEXT, credentials=_object(secret=_object(("name", "key"), **_KEY, namespace=_TEXT))
        ),
        tls=_object(insecureSkipVerify={"type": "boolean"}, serverName=_TEXT),
        metricRelabeling=_list(_relabelling()),
    )
    labels = _object(metadata=_list(_TEXT), fromPod=_list(_object(("from",), **{"from": _TEXT, "to": _TEXT})))
    monitoring = _object(
        ("selector", "endpoints"), selector=_PODS, endpoints=_list(endpoint, minItems=1), targetLabels=labels
    )
    rules = _object(("groups",), groups=_list(group, maxItems=1000))
    return [
        _kind(GOOGLE, "ClusterRules", "clusterrules", rules, scope="Cluster"),
        _kind(GOOGLE, "PodMonitoring", "podmonitorings", monitoring),
        _kind(GOOGLE, "ClusterPodMonitoring", "clusterpodmonitorings", monitoring, scope="Cluster"),
    ]


def install(api: Api, kinds: list[Object]) -> None:
    """Adds the kinds to an API server."""
    for kind in kinds:
        if api.get(f"{DEFINITIONS}/{kind['metadata']['name']}") is None:
            api.create(DEFINITIONS, kind)


def _relabelling() -> Object:
    return _object(
        sourceLabels=_list(_TEXT), targetLabel=_TEXT, regex=_TEXT, replacement=_TEXT, separator=_TEXT, action=_TEXT
    )


def _kind(group: str, kind: str, plural: str, spec: Object, scope: str = "Namespaced") -> Object:
    schema = _object(("spec",), spec=spec, status={"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": names,
            "versions": [{**version, "subresources": {"status": {}}}],
        },
    }
