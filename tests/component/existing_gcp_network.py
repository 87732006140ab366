"""An existing network on Google Cloud under the recorder: what Google answers about it, and the component on it."""

from __future__ import annotations

from typing import Any

import pulumi

from components.gcp.cluster import GkeCluster
from components.gcp.existing_network import GcpExistingNetwork
from components.gcp.network import GcpNetwork
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import GCP_ZONES, gcp_options

OWNED: dict[str, Any] = {
    "project": "gpuyard-project",
    "region": "us-central1",
    "zones": GCP_ZONES,
    "network": "shared",
    "subnetwork": "gpus",
}
NET, SUB = "gcp:compute/getNetwork:getNetwork", "gcp:compute/getSubnetwork:getSubnetwork"


def network_lookups(**subnetwork: Any) -> dict[str, Any]:
    """What Google returns for the network and its subnetwork."""

    def subnet(args: dict[str, Any]) -> dict[str, Any]:
        usual = {
            "network": f"https://www.googleapis.com/compute/v1/projects/{args['project']}/global/networks/shared",
            "ipCidrRange": "10.0.0.0/20",
            "privateIpGoogleAccess": True,
            "secondaryIpRanges": [
                {"rangeName": "pods", "ipCidrRange": "10.64.0.0/14"},
                {"rangeName": "services", "ipCidrRange": "10.68.0.0/20"},
            ],
        }
        return {**args, "id": "x", **usual, **subnetwork}

    return {NET: lambda args: {**args, "id": "x"}, SUB: subnet}


def existing(answers: dict[str, Any] | None = None, preview: bool = False, **args: Any) -> Recording:
    """A recorded GcpExistingNetwork called `net`; its outputs are exported."""

    def program() -> None:
        made = GcpExistingNetwork("net", {**OWNED, **args}, gcp_options())  # type: ignore[typeddict-item]
        for key in ("network_id", "subnetwork_id", "pods_range", "services_range"):
            pulumi.export(key, getattr(made, key))

    return run(program, outputs=answers or network_lookups(), preview=preview)


def cluster_in(net: GcpNetwork | GcpExistingNetwork, options: pulumi.ResourceOptions) -> None:
    """A cluster in that network."""
    GkeCluster(
        "c",
        {
            "cluster_name": "train",
            "version": "1.35",
            "project": "gpuyard-project",
            "location": "us-central1",
            "zones": GCP_ZONES,
            "network_id": net.network_id,
            "subnetwork_id": net.subnetwork_id,
        },
        options,
    )
