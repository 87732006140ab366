"""Add-ons on an EKS cluster of another stack, from that stack's outputs."""

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from gpuyard import Taint
from gpuyard.aws import DcgmExporter, EksAddon, EksNodePoolSpec

other = pulumi.StackReference(pulumi.Config().require("clusterStack"))


async def plain(name: str) -> Any:
    """An output that is not secret, as a plain value, for arguments that are checked before a change."""
    value = (await other.get_output_details(name)).value
    if value is None:
        raise pulumi.RunError(f"{other.pulumi_resource_name} has no output {name}, or it is secret")
    return value


def taint(text: str) -> Taint:
    """A taint that is written as key=value:effect."""
    key, _, rest = text.partition("=")
    value, _, effect = rest.rpartition(":")
    return {"key": key, "value": value, "effect": effect}


def pool_spec(pool: dict[str, Any]) -> EksNodePoolSpec:
    """The spec of a pool, as far as add-ons need it."""
    return {
        "machine_types": pool["machineTypes"],
        # The engine passes all numbers between stacks as floats.
        "min": int(pool["min"]),
        "max": int(pool["max"]),
        "taints": [taint(text) for text in pool.get("taints", [])],
    }


async def addons() -> list[str]:
    """Installs the add-ons and returns their names."""
    cluster_name = await plain("clusterName")
    node_pools = {name: pool_spec(pool) for name, pool in (await plain("nodePools")).items()}
    account = aws.Provider("aws", region=await plain("region"))
    cluster = kubernetes.Provider(
        "kubernetes", kubeconfig=other.require_output("kubeconfig"), cluster_identifier=cluster_name
    )
    made = [
        DcgmExporter("dcgm-exporter", {"node_pools": node_pools}, pulumi.ResourceOptions(providers=[cluster])),
        EksAddon(
            "cert-manager",
            {
                "addon": "cert-manager",
                "cluster": cluster_name,
                "kubernetes_version": await plain("kubernetesVersion"),
            },
            pulumi.ResourceOptions(providers=[account]),
        ),
    ]
    return [addon.pulumi_resource_name for addon in made]


pulumi.export("addons", addons())
