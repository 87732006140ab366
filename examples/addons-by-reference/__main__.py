"""Add-ons on an EKS cluster of another stack, from that stack's outputs."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from gpuyard.aws import DcgmExporter, EksAddon


async def plain(stack: pulumi.StackReference, name: str) -> Any:
    """An output of another stack as a plain value. Pulumi has read the whole stack before the first one is returned."""
    value = (await stack.get_output_details(name)).value
    if value is None:
        raise pulumi.RunError(f"{stack.pulumi_resource_name} has no output {name}, or it is secret")
    return value


async def main() -> None:
    """The program. It is async, so that it can wait for plain values: the library checks pools and versions before
    anything is created."""
    stack = pulumi.StackReference(pulumi.Config().require("clusterStack"))
    cluster_name, version = await plain(stack, "clusterName"), await plain(stack, "kubernetesVersion")
    node_pools = await plain(stack, "nodePoolSpecs")

    account = aws.Provider("aws", region=await plain(stack, "region"))
    cluster = kubernetes.Provider(
        "kubernetes",
        # Secret there, and here.
        kubeconfig=stack.require_output("kubeconfig"),
        cluster_identifier=cluster_name,
    )

    EksAddon(
        "cert-manager",
        {"addon": "cert-manager", "cluster": cluster_name, "kubernetes_version": version},
        pulumi.ResourceOptions(providers=[account]),
    )
    exporter = DcgmExporter("dcgm-exporter", {"node_pools": node_pools}, pulumi.ResourceOptions(providers=[cluster]))
    pulumi.export("release", exporter.release_name)


pulumi.run(main)
