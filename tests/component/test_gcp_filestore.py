"""A Filestore instance as a volume: its tier, size and place, who mounts it, and what is refused."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.gcp import filestore
from components.gcp.filestore import Filestore
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record
from tests.component.stage import GCP_ZONES, gcp_options
from tests.config.test_errors import changed

NETWORK = "projects/p/global/networks/net"
FILES: dict[str, Any] = {
    "project": "my-project",
    "region": "us-central1",
    "zones": GCP_ZONES,
    "zone": GCP_ZONES[0],
    "network_id": NETWORK,
    "namespace": "training",
}


def files(**args: Any) -> Recording:
    """A recorded Filestore called `files`; its outputs are exported."""

    def program() -> None:
        given = {key: value for key, value in {**FILES, **args}.items() if value is not None}
        made = Filestore("files", given, gcp_options())  # type: ignore[typeddict-item]
        for key in ("volume_name", "file_system_id", "address"):
            pulumi.export(key, getattr(made, key))

    return run(program)


class TestFilestore:
    def test_the_volume_is_reserved_for_one_claim_of_one_namespace(self) -> None:
        """security case M13."""
        spec = files().one("PersistentVolume").inputs["spec"]
        assert (spec["claimRef"]["namespace"], spec["claimRef"]["name"]) == ("training", "filestore")
        with pytest.raises(pulumi.RunError, match=r"namespace = 'ML'"):
            files(namespace="ML")

    def test_the_volume_has_the_size_of_the_instance_and_is_retained(self) -> None:
        made = files(size_gib=2048, tags={"team": "vision"})
        instance, volume = made.one("gcp:filestore/instance:Instance"), made.one("PersistentVolume").inputs["spec"]
        assert instance.inputs["fileShares"]["capacityGb"] == 2048
        assert instance.inputs["labels"] == {"team": "vision"}
        assert volume["capacity"] == {"storage": "2048Gi"} and volume["accessModes"] == ["ReadWriteMany"]
        assert volume["persistentVolumeReclaimPolicy"] == "Retain" and volume["storageClassName"] == "filestore"
        name = instance.outputs["name"]
        assert volume["csi"]["volumeHandle"] == f"modeInstance/us-central1-a/{name}/data"
        assert volume["csi"]["volumeAttributes"] == {"ip": "10.255.1.2", "volume": "data"}
        assert made.exports["file_system_id"] == volume["csi"]["volumeHandle"]
        assert made.exports["address"] == "10.255.1.2"
        assert made.one("PersistentVolume").options["deleteBeforeReplace"] is True, "names of volumes are unique"

    @pytest.mark.parametrize(
        ("args", "location", "tier"),
        [
            ({}, "us-central1-a", "ZONAL"),
            ({"zone": "us-central1-b"}, "us-central1-b", "ZONAL"),
            ({"zones": GCP_ZONES[1:], "zone": None}, "us-central1-b", "ZONAL"),
            ({"tier": "regional", "zone": None}, "us-central1", "REGIONAL"),
            ({"tier": "enterprise", "zone": None}, "us-central1", "ENTERPRISE"),
            ({"tier": "standard"}, "us-central1-a", "BASIC_HDD"),
        ],
    )
    def test_the_location_is_a_zone_or_the_region_by_tier(self, args: dict[str, Any], location: str, tier: str) -> None:
        made = files(**args).one("gcp:filestore/instance:Instance").inputs
        assert (made["location"], made["tier"]) == (location, tier)

    def test_only_the_configured_networks_can_mount_the_instance(self) -> None:
        share = files(client_cidrs=["10.0.0.0/20"]).one("gcp:filestore/instance:Instance").inputs["fileShares"]
        (option,) = share["nfsExportOptions"]
        assert option["ipRanges"] == ["10.0.0.0/20"]
        assert option["squashMode"] == "NO_ROOT_SQUASH", "Kubernetes gives volumes their owners as root"
        made = record(
            changed("dev-gke", {"gpuyard:storage": {"filestore": {"zone": "us-central1-a", "namespace": "ml"}}}),
            "dev-gke",
        )
        share = made.one("gcp:filestore/instance:Instance").inputs["fileShares"]
        assert share["nfsExportOptions"][0]["ipRanges"] == ["10.0.0.0/20"], "the nodes, and no other machine of the VPC"

    def test_a_network_of_another_project_uses_private_services_access(self) -> None:
        (network,) = files(shared_vpc=True).one("gcp:filestore/instance:Instance").inputs["networks"]
        assert network["network"] == NETWORK and network["connectMode"] == "PRIVATE_SERVICE_ACCESS"
        (network,) = files().one("gcp:filestore/instance:Instance").inputs["networks"]
        assert network["network"] == "net" and network["connectMode"] == "DIRECT_PEERING"

    @pytest.mark.parametrize("protected", [True, False])
    def test_deletion_protection_is_set_on_the_instance_and_in_pulumi(self, protected: bool) -> None:
        made = files(deletion_protection=protected).one("gcp:filestore/instance:Instance")
        assert made.inputs["deletionProtectionEnabled"] is protected
        assert bool(made.options.get("protect")) is protected

    @pytest.mark.parametrize("protected", [True, False])
    def test_the_stack_protects_the_instance_together_with_the_cluster(self, protected: bool) -> None:
        choice = {
            "gpuyard:storage": {"filestore": {"zone": "us-central1-a", "namespace": "ml"}},
            "gpuyard:deletionProtection": protected,
        }
        made = record(changed("dev-gke", choice), "dev-gke").one("gcp:filestore/instance:Instance")
        assert made.inputs["deletionProtectionEnabled"] is protected
        assert bool(made.options.get("protect")) is protected

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"tier": "gold"}, "tier", "zonal"),
            ({"size_gib": 1000}, "size_gib", "write 1024"),
            ({"size_gib": 1100}, "size_gib", "write 1280"),
            ({"size_gib": 10000}, "size_gib", "write 10240"),
            ({"size_gib": 11000}, "size_gib", "write 12800"),
            ({"size_gib": 200000}, "size_gib", "write 102400"),
            ({"tier": "premium"}, "size_gib", "write 2560"),
            ({"tier": "enterprise", "zone": None, "size_gib": 20000}, "size_gib", "write 10240"),
            ({"zone": None}, "zone", "is in one zone and cannot move"),
            ({"tier": "standard", "zone": None}, "zone", "us-central1-a, us-central1-b"),
            ({"zone": "us-central1-f"}, "zone", "us-central1-a, us-central1-b"),
            ({"tier": "regional", "zone": "us-central1-a"}, "zone", "remove it"),
            ({"client_cidrs": ["nodes"]}, "client_cidrs[0]", "IPv4"),
        ],
    )
    def test_unsupported_tiers_sizes_and_zones_are_refused(self, args: dict[str, Any], path: str, words: str) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            files(**args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text and "one value" in text, text

    @pytest.mark.parametrize("name", filestore.TIERS)
    def test_the_proposed_size_is_valid_for_the_tier(self, name: str) -> None:
        tier = filestore.TIERS[name]
        for size in (0, 1, 1025, 2561, 9999, 10241, 60000, 999999):
            assert tier.holds(tier.next(size)), size
