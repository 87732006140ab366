"""EKS clusters in two regions and a GKE cluster, in one program: training on both clouds, serving on one."""

import pulumi
from on_aws import eks_cluster
from on_google import gke_cluster

cidrs = pulumi.Config().require_object("publicAccessCidrs")
clusters = {
    "training": eks_cluster("training", "us-east-1", "g6.12xlarge", cidrs),
    "serving": eks_cluster("serving", "us-west-2", "g6.2xlarge", cidrs),
    "burst": gke_cluster("burst", "us-central1", "g2-standard-8", cidrs),
}

pulumi.export("connectCommands", {name: cluster.connect_command for name, cluster in clusters.items()})
pulumi.export("kubeconfigs", {name: cluster.kubeconfig for name, cluster in clusters.items()})
