"""Which Prometheus evaluates and scrapes, and what its kinds are called."""

PROMETHEUS_OPERATOR = "prometheus_operator"
"""The operator of kube-prometheus-stack (`Monitoring`), as the stack installs it on EKS."""
MANAGED_PROMETHEUS = "managed_prometheus"
"""Google's Managed Service for Prometheus, which every GKE cluster of this library has."""

SYSTEMS = (PROMETHEUS_OPERATOR, MANAGED_PROMETHEUS)

API_VERSIONS = {PROMETHEUS_OPERATOR: "monitoring.coreos.com/v1", MANAGED_PROMETHEUS: "monitoring.googleapis.com/v1"}
