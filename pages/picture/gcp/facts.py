"""The facts about a recorded stack on GKE for the page: ranges, node pools, compute classes, accounts."""

from __future__ import annotations

from components.hardware import GCP, find
from recording.recording import Resource

from .. import recorded
from ..recorded import CAPACITY, Group

DISKS = "pd.csi.storage.gke.io"
FILES = "filestore.csi.storage.gke.io"
OBJECTS = "gcsfuse.csi.storage.gke.io"
_DRIVERS = {
    "gcePersistentDiskCsiDriverConfig": "persistent disk",
    "gcpFilestoreCsiDriverConfig": "Filestore",
    "gcsFuseCsiDriverConfig": "Cloud Storage FUSE",
}


class Stack(recorded.Stack):
    """A stack on GKE."""

    @property
    def cluster(self) -> Resource:
        return self.made.one("gcp:container/cluster:Cluster")

    @property
    def regional(self) -> bool:
        """Whether the control plane is in all zones of the region."""
        return self.cluster.inputs["location"] == self.region

    @property
    def zones(self) -> list[str]:
        own = [] if self.regional else [self.cluster.inputs["location"]]
        return sorted({*self.cluster.inputs["nodeLocations"], *own})

    @property
    def ranges(self) -> dict[str, str]:
        """Purpose of the addresses in the subnetwork → range; empty in an existing network."""
        found: dict[str, str] = {}
        for subnetwork in self.all("gcp:compute/subnetwork:Subnetwork"):
            found["nodes"] = subnetwork.inputs["ipCidrRange"]
            found |= {each["rangeName"]: each["ipCidrRange"] for each in subnetwork.inputs["secondaryIpRanges"]}
        return found

    @property
    def google_access(self) -> bool:
        """Whether nodes reach Google's APIs without NAT."""
        return any(each.inputs["privateIpGoogleAccess"] for each in self.all("gcp:compute/subnetwork:Subnetwork"))

    @property
    def access_paths(self) -> list[str]:
        """From where and how the API endpoint can be reached."""
        inputs = self.cluster.inputs
        cidrs = [block["cidrBlock"] for block in inputs["masterAuthorizedNetworksConfig"]["cidrBlocks"]]
        dns = inputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"]
        return [*(f"from {cidr}" for cidr in cidrs), *(["by DNS name, with IAM"] if dns else [])]

    @property
    def public(self) -> bool:
        """Whether the API endpoint has a public address."""
        return not self.cluster.inputs["privateClusterConfig"]["enablePrivateEndpoint"]

    @property
    def secrets_key(self) -> bool:
        """Whether secrets are encrypted with the user's own key."""
        return self.cluster.inputs.get("databaseEncryption", {}).get("state") == "ENCRYPTED"

    @property
    def hold(self) -> str:
        """The upgrades that are held until the version's support ends: nodes, minor or nothing."""
        scopes = [each["exclusionOptions"]["scope"] for each in self._exclusions if "endTime" not in each]
        names = {"NO_MINOR_OR_NODE_UPGRADES": "nodes", "NO_MINOR_UPGRADES": "minor"}
        return next((names[scope] for scope in scopes), "nothing")

    @property
    def exclusions(self) -> list[str]:
        """Names of the maintenance exclusions that have a last day."""
        return [each["exclusionName"] for each in self._exclusions if "endTime" in each]

    @property
    def _exclusions(self) -> list[dict]:
        return self.cluster.inputs["maintenancePolicy"]["maintenanceExclusions"]

    @property
    def drivers(self) -> list[str]:
        """Storage drivers that GKE runs."""
        return [name for key, name in _DRIVERS.items() if self.cluster.inputs["addonsConfig"][key]["enabled"]]

    @property
    def managed(self) -> list[str]:
        """Further managed parts of GKE that the cluster enables."""
        monitoring = self.cluster.inputs["monitoringConfig"]
        prometheus = ["managed Prometheus"] if monitoring["managedPrometheus"]["enabled"] else []
        return [*prometheus, *(["managed DCGM exporter"] if "DCGM" in monitoring["enableComponents"] else [])]

    @property
    def ladders(self) -> dict[str, list[str]]:
        """ComputeClass → its groups, best first."""
        names = {found.outputs["name"]: found.name for found in self.all("NodePool")}
        return {
            found.inputs["metadata"]["name"]: [
                names[each] for priority in found.inputs["spec"]["priorities"] for each in priority["nodepools"]
            ]
            for found in self.all("ComputeClass")
        }

    def made_groups(self) -> list[Group]:
        return [self._group(found) for found in self.all("NodePool")]

    def _group(self, found: Resource) -> Group:
        inputs, node = found.inputs, found.inputs["nodeConfig"]
        machine = find(GCP, node["machineType"])
        assert machine, node["machineType"]
        gpus = (node.get("guestAccelerators") or [{"count": 0, "type": ""}])[0]
        sizes, zones = inputs["autoscaling"], tuple(inputs["nodeLocations"])
        least, most = sizes.get("totalMinNodeCount"), sizes.get("totalMaxNodeCount")
        pool, capacity = recorded.rung(node["labels"])
        direct = machine.gpudirect if inputs["networkConfig"].get("acceleratorNetworkProfile") else 0
        return Group(
            name=found.name,
            pool=pool,
            capacity=capacity,
            bought="queued flex-start" if inputs.get("queuedProvisioning") else CAPACITY[capacity],
            machines=(machine,),
            gpus=gpus["count"],
            gpu=gpus["type"].removeprefix("nvidia-").removeprefix("tesla-").upper(),
            # Sizes are of the pool, or of each of its zones.
            min=least if least is not None else sizes["minNodeCount"] * len(zones),
            max=most if most is not None else sizes["maxNodeCount"] * len(zones),
            labels=node["labels"],
            zones=zones,
            interconnect=f"{direct} × GPUDirect" if direct else "",
        )

    def plain(self, text: str) -> str:
        """A text without the names of cluster and project."""
        project = self.cluster.inputs["workloadIdentityConfig"]["workloadPool"].partition(".")[0]
        return text.replace(self.cluster.inputs["name"], "CLUSTER").replace(project, "PROJECT")
