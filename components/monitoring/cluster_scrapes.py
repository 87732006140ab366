"""What Prometheus on EKS scrapes with its own service account: kubelets and the API server.

Everything else is a ServiceMonitor or PodMonitor. Any namespace may have one, and none may name a file: the author of a
monitor that names the token's file could have Prometheus send its own token to any server (prometheus-operator's API,
`arbitraryFSAccessThroughSMs`). The chart's own monitors for these two name that file, so they are off. These jobs
replace them, with the same labels (`job`, `metrics_path`, `node`, `service`), which the chart's rules need.
"""

from typing import Any

_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
_CHART = "kube-prometheus-stack"
# Series of cAdvisor that no rule or usual dashboard uses; they are half of all its series.
_UNUSED = (
    "container_(cpu_(cfs_throttled_seconds_total|load_average_10s|system_seconds_total|user_seconds_total)"
    "|fs_(io_.+|.+_merged_total|sector_.+)|memory_(mapped_file|swap)|file_descriptors|tasks_state|threads_max|spec_.+)"
)
# Bounds of the API server's histograms that the chart's rules and dashboards do not use.
_BOUNDS = (
    "(etcd_request|apiserver_request_sl[io]|apiserver_request)_duration_seconds_bucket"
    r";(0\.15|0\.2|0\.3|0\.35|0\.4|0\.45|0\.6|0\.7|0\.8|0\.9|1\.25|1\.5|1\.75|2|3|3\.5|4|4\.5|6|7|8|9|15|20|40|45|50)(\.0)?"
)


def jobs() -> list[dict[str, Any]]:
    """Prometheus' own scrape configurations: `prometheusSpec.additionalScrapeConfigs` of the chart."""
    cgroups = {"source_labels": ["id", "pod"], "regex": ".+;", "action": "drop"}
    return [
        _kubelet("/metrics"),
        _kubelet("/metrics/cadvisor", [_drop("__name__", regex=_UNUSED), cgroups]),
        _kubelet("/metrics/probes"),
        {
            "job_name": "apiserver",
            "kubernetes_sd_configs": [{"role": "endpointslice", "namespaces": {"names": ["default"]}}],
            **_authenticated({"server_name": "kubernetes"}),
            "relabel_configs": [
                {
                    "source_labels": [f"__meta_kubernetes_endpointslice_{part}" for part in ("name", "port_name")],
                    "regex": "kubernetes;https",
                    "action": "keep",
                },
                *_labels(namespace="default", service="kubernetes", endpoint="https"),
            ],
            "metric_relabel_configs": [_drop("__name__", "le", regex=_BOUNDS)],
        },
    ]


def _kubelet(path: str, metric_relabel: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "job_name": f"kubelet{path}",
        "metrics_path": path,
        "kubernetes_sd_configs": [{"role": "node"}],
        # A kubelet signs its certificate itself; the cluster's CA does not know it.
        **_authenticated({"insecure_skip_verify": True}),
        # Keep the pods' namespaces instead of the kubelet's.
        "honor_labels": True,
        "relabel_configs": [
            *_labels(job="kubelet", namespace="kube-system", service=f"{_CHART}-kubelet", endpoint="https-metrics"),
            {"source_labels": ["__metrics_path__"], "target_label": "metrics_path"},
            {"source_labels": ["__meta_kubernetes_node_name"], "target_label": "node"},
        ],
        **({"metric_relabel_configs": metric_relabel} if metric_relabel else {}),
    }


def _authenticated(tls: dict[str, Any]) -> dict[str, Any]:
    return {
        "scheme": "https",
        "authorization": {"credentials_file": f"{_ACCOUNT}/token"},
        "tls_config": {"ca_file": f"{_ACCOUNT}/ca.crt", **tls},
    }


def _labels(**labels: str) -> list[dict[str, Any]]:
    return [{"target_label": name, "replacement": value} for name, value in labels.items()]


def _drop(*labels: str, regex: str) -> dict[str, Any]:
    return {"source_labels": list(labels), "regex": regex, "action": "drop"}
