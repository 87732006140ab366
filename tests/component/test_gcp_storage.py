"""Storage classes and snapshot classes on Google Cloud: the inputs that the SDK gets, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components import hardware
from components.gcp import storage as gcp_storage
from components.gcp.storage import GcpStorage
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record, recorded
from tests.component.stage import gcp_options
from tests.config.test_errors import changed

NETWORK = "projects/p/global/networks/net"


def storage(**args: Any) -> Recording:
    """A recorded GcpStorage."""
    return run(lambda: GcpStorage("storage", {"network_id": NETWORK, **args}, gcp_options()))  # type: ignore[typeddict-item]


def parameters(name: str, **args: Any) -> dict[str, str]:
    """The parameters of the storage class with that name."""
    found = storage(**args).all("StorageClass")
    return next(each.inputs["parameters"] for each in found if each.inputs["metadata"]["name"] == name)


class TestExports:
    def test_only_nodes_can_mount_the_file_system_of_a_claim(self) -> None:
        """security case M12: without export options, the whole VPC and connected networks can mount it."""
        made = record(changed("dev-gke", {}), "dev-gke").all("StorageClass")
        shared = next(each.inputs["parameters"] for each in made if each.inputs["metadata"]["name"] == "shared")
        assert json.loads(shared["nfs-export-options-on-create"]) == [
            {"accessMode": "READ_WRITE", "ipRanges": ["10.0.0.0/20"], "squashMode": "NO_ROOT_SQUASH"}
        ]

    def test_multishare_instances_have_no_export_options(self) -> None:
        """gcp-filestore-csi-driver: multishare does not support export options."""
        found = parameters(
            "shared", client_cidrs=["10.0.0.0/20"], filestore_tier="enterprise", filestore_multishare=True
        )
        assert "nfs-export-options-on-create" not in found
        assert "nfs-export-options-on-create" not in parameters("shared")


class TestClasses:
    @pytest.mark.parametrize("name", ["block", "block-fast", "shared"])
    def test_the_classes_have_the_names_and_policies_of_those_on_aws(self, name: str) -> None:
        """seed row S11: persistent disks for one pod, Filestore for several."""
        found = next(f.inputs for f in storage().all("StorageClass") if f.inputs["metadata"]["name"] == name)
        driver = "filestore.csi.storage.gke.io" if name == "shared" else "pd.csi.storage.gke.io"
        assert found["provisioner"] == driver
        assert found["reclaimPolicy"] == ("Delete" if name == "block" else "Retain")
        binding = "Immediate" if name == "shared" else "WaitForFirstConsumer"
        assert found["volumeBindingMode"] == binding and found["allowVolumeExpansion"] is True

    def test_snapshots_of_disks_are_retained(self) -> None:
        (found,) = storage().all("VolumeSnapshotClass")
        assert found.inputs["driver"] == "pd.csi.storage.gke.io" and found.inputs["deletionPolicy"] == "Retain"

    @pytest.mark.parametrize(
        ("types", "kind"),
        [
            ([], "pd"),
            (["n2-standard-8", "g2-standard-8"], "pd"),
            (["n1-standard-8", "a2-highgpu-1g"], "pd"),
            (["n4-standard-8", "g4-standard-48"], "hyperdisk"),
            (["c4-standard-8", "a4-highgpu-8g"], "hyperdisk"),
            # Both support hyperdisk; one also supports persistent disks.
            (["c4-standard-8", "a3-highgpu-8g"], "hyperdisk"),
            (["n2-standard-8", "a3-highgpu-8g"], "pd"),
            (["n2-standard-8", "g4-standard-48"], "dynamic"),
        ],
    )
    def test_a_disk_has_a_type_that_every_pool_supports(self, types: list[str], kind: str) -> None:
        """seed row S10: hyperdisk if all series support it, otherwise persistent disks."""
        assert gcp_storage.disk_kind(types) == kind
        made, fast = parameters("block", machine_types=types), parameters("block-fast", machine_types=types)
        assert made["type"] == {"pd": "pd-balanced", "hyperdisk": "hyperdisk-balanced", "dynamic": "dynamic"}[kind]
        assert fast["type"] == {"pd": "pd-ssd", "hyperdisk": "hyperdisk-balanced", "dynamic": "dynamic"}[kind]
        for name in types:
            machine = hardware.find(hardware.GCP, name)
            assert machine
            for used in (made, fast):
                kinds = {used["type"], used.get("pd-type"), used.get("hyperdisk-type")} - {"dynamic", None}
                assert kinds & set(machine.disks), (name, kinds)

    def test_disks_and_instances_of_claims_have_the_labels(self) -> None:
        """field case A8: the provider's default labels do not apply to what the drivers create."""
        for name in ("block", "block-fast", "shared"):
            assert parameters(name, tags={"team": "ml", "stage": "dev"})["labels"] == "team=ml,stage=dev"
            assert "labels" not in parameters(name)

    def test_the_disk_type_is_dynamic_if_pools_support_different_disks(self) -> None:
        mixed = ["n2-standard-8", "g4-standard-48"]
        assert parameters("block", machine_types=mixed) == {
            "type": "dynamic",
            "pd-type": "pd-balanced",
            "hyperdisk-type": "hyperdisk-balanced",
            "use-allowed-disk-topology": "true",
        }
        assert parameters("block-fast", machine_types=mixed)["pd-type"] == "pd-ssd"

    def test_fast_hyperdisks_have_the_throughput_of_eks_and_others_the_default(self) -> None:
        types = ["n4-standard-8"]
        fast = parameters("block-fast", machine_types=types)
        assert fast["provisioned-iops-on-create"] == "3000" and fast["provisioned-throughput-on-create"] == "750Mi"
        assert parameters("block", machine_types=types) == {"type": "hyperdisk-balanced"}

    def test_shared_volumes_use_the_clusters_network_and_the_configured_tier(self) -> None:
        assert parameters("shared") == {"tier": "zonal", "network": "net"}
        assert parameters("shared", filestore_tier="premium")["tier"] == "premium"
        made = parameters("shared", filestore_tier="enterprise", filestore_multishare=True)
        assert made["multishare"] == "true"

    def test_a_network_of_another_project_is_written_with_its_full_name(self) -> None:
        made = parameters("shared", shared_vpc=True)
        assert made["network"] == NETWORK and made["connect-mode"] == "PRIVATE_SERVICE_ACCESS"

    def test_the_stacks_classes_follow_its_pools(self) -> None:
        block = recorded("dev-gke").one("StorageClass", "storage-block").inputs["parameters"]
        assert block == {"type": "pd-balanced", "labels": "gpuyard-stack=gpuyard-dev-gke"}
        later = changed("dev-gke", {"gpuyard:nodePools/gpu-workers/machineTypes": ["g4-standard-48"]})
        assert record(later, "dev-gke").one("StorageClass", "storage-block").inputs["parameters"]["type"] == "dynamic"

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"filestore_tier": "gold"}, "filestore_tier", "zonal"),
            ({"filestore_multishare": True}, "filestore_multishare", "`filestore_tier: enterprise`"),
            (
                {"machine_types": ["n2-standard-8", "n4-standard-8"], "kubernetes_version": "1.34"},
                "kubernetes_version",
                "write 1.35",
            ),
        ],
    )
    def test_invalid_arguments_are_refused(self, args: dict[str, Any], path: str, words: str) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            storage(**args)
        assert f"  {path} = " in str(caught.value) and words in str(caught.value), caught.value

    def test_one_disk_type_works_with_an_older_kubernetes(self) -> None:
        storage(machine_types=["n4-standard-8"], kubernetes_version="1.34")
        storage(machine_types=["n2-standard-8", "n4-standard-8"], kubernetes_version="1.35")
