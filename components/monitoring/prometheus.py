"""The Prometheus systems that evaluate rules and scrape pods, and the API versions of their kinds."""

PROMETHEUS_OPERATOR = "prometheus_operator"
"""The operator of kube-prometheus-stack (`Monitoring`), as the stack installs it on EKS."""
MANAGED_PROMETHEUS = "managed_prometheus"
"""Google's Managed Service for Prometheus, which `GkeCluster` switches on."""

SYSTEMS = (PROMETHEUS_OPERATOR, MANAGED_PROMETHEUS)
"""Every value of the argument `system`."""

API_VERSIONS = {PROMETHEUS_OPERATOR: "monitoring.coreos.com/v1", MANAGED_PROMETHEUS: "monitoring.googleapis.com/v1"}
"""System → API version of its kinds."""
