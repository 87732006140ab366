"""Where the parts that Prometheus watches are in a cluster: namespaces, labels, ports."""

from ..pools import CAPACITY_LABEL, POOL_LABEL

NAMESPACE = "monitoring"
"""Namespace of Prometheus, and of the alert rules on EKS."""
NODES_NAMESPACE = "node-exporter"
"""Namespace of the node exporter, which reads the node's /proc and network."""
DCGM_NAMESPACE = "dcgm-exporter"
"""Namespace of the DCGM exporter on EKS."""
GKE_DCGM_NAMESPACE = "gke-managed-system"
"""Namespace of GKE's managed DCGM exporter."""
AUTOSCALER_NAMESPACE = "kube-system"
"""Namespace of the Cluster Autoscaler."""
AUTOSCALER_LABELS = {
    "app.kubernetes.io/instance": "cluster-autoscaler",
    "app.kubernetes.io/name": "aws-cluster-autoscaler",
}
"""Labels of the autoscaler's pod and Service, as its chart derives them from the cloud provider and the release."""
AUTOSCALER_PORT = "http"
"""Name of the port with the autoscaler's metrics."""

READERS = {"gpuyard.dev/reads-metrics": "true"}
"""Label of a namespace whose pods may query the Prometheus of `Monitoring`: Grafana, an adapter, KEDA."""

NODE_LABELS = {POOL_LABEL: "pool", CAPACITY_LABEL: "capacity", "node.kubernetes.io/instance-type": "machine"}
"""Labels of nodes in the series of kube-state-metrics, which has none by default → their names in recorded series."""
