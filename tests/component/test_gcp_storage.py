"""Volumes on Google Cloud: classes, file systems and buckets as the SDK is asked for them, and what is refused."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pulumi
import pytest

from components import hardware
from components.gcp import buckets, filestore
from components.gcp import storage as gcp_storage
from components.gcp.buckets import GcsBuckets
from components.gcp.cluster import GkeCluster
from components.gcp.filestore import Filestore
from components.gcp.storage import GcpStorage
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record, recorded
from tests.component.stage import GCP_ZONES, gcp_options
from tests.config.test_errors import changed, parse

NETWORK = "projects/p/global/networks/net"


def storage(**args: Any) -> Recording:
    """A recorded GcpStorage."""
    return run(lambda: GcpStorage("storage", {"network_id": NETWORK, **args}, gcp_options()))  # type: ignore[typeddict-item]


def parameters(name: str, **args: Any) -> dict[str, str]:
    """Of the storage class of that name."""
    found = storage(**args).all("StorageClass")
    return next(each.inputs["parameters"] for each in found if each.inputs["metadata"]["name"] == name)


class TestExports:
    def test_the_nodes_alone_mount_a_file_system_of_a_claim(self) -> None:
        """security case M12: without export options the whole VPC and all that is connected to it may."""
        made = record(changed("dev-gke", {}), "dev-gke").all("StorageClass")
        shared = next(each.inputs["parameters"] for each in made if each.inputs["metadata"]["name"] == "shared")
        assert json.loads(shared["nfs-export-options-on-create"]) == [
            {"accessMode": "READ_WRITE", "ipRanges": ["10.0.0.0/20"], "squashMode": "NO_ROOT_SQUASH"}
        ]

    def test_a_common_instance_takes_no_options(self) -> None:
        """gcp-filestore-csi-driver: multishare has none."""
        found = parameters(
            "shared", client_cidrs=["10.0.0.0/20"], filestore_tier="enterprise", filestore_multishare=True
        )
        assert "nfs-export-options-on-create" not in found
        assert "nfs-export-options-on-create" not in parameters("shared")


class TestClasses:
    @pytest.mark.parametrize("name", ["block", "block-fast", "shared"])
    def test_they_have_the_same_names_and_promises_as_on_aws(self, name: str) -> None:
        """seed row S11: persistent disks for one pod, Filestore for many."""
        found = next(f.inputs for f in storage().all("StorageClass") if f.inputs["metadata"]["name"] == name)
        driver = "filestore.csi.storage.gke.io" if name == "shared" else "pd.csi.storage.gke.io"
        assert found["provisioner"] == driver
        assert found["reclaimPolicy"] == ("Delete" if name == "block" else "Retain")
        binding = "Immediate" if name == "shared" else "WaitForFirstConsumer"
        assert found["volumeBindingMode"] == binding and found["allowVolumeExpansion"] is True

    def test_snapshots_of_disks_keep_what_they_hold(self) -> None:
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
            # Both take hyperdisk, one persistent disks as well.
            (["c4-standard-8", "a3-highgpu-8g"], "hyperdisk"),
            (["n2-standard-8", "a3-highgpu-8g"], "pd"),
            (["n2-standard-8", "g4-standard-48"], "dynamic"),
        ],
    )
    def test_a_disk_is_of_a_kind_that_every_pool_takes(self, types: list[str], kind: str) -> None:
        """seed row S10: hyperdisk where the series have it, else persistent disks."""
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

    def test_disks_and_instances_of_claims_are_in_the_bill_of_their_team(self) -> None:
        """field case A8: the provider's default labels do not reach what the drivers make."""
        for name in ("block", "block-fast", "shared"):
            assert parameters(name, tags={"team": "ml", "stage": "dev"})["labels"] == "team=ml,stage=dev"
            assert "labels" not in parameters(name)

    def test_the_driver_chooses_by_the_node_where_pools_take_different_disks(self) -> None:
        mixed = ["n2-standard-8", "g4-standard-48"]
        assert parameters("block", machine_types=mixed) == {
            "type": "dynamic",
            "pd-type": "pd-balanced",
            "hyperdisk-type": "hyperdisk-balanced",
            "use-allowed-disk-topology": "true",
        }
        assert parameters("block-fast", machine_types=mixed)["pd-type"] == "pd-ssd"

    def test_fast_hyperdisks_have_the_rate_of_eks_and_slow_ones_what_their_size_gives(self) -> None:
        types = ["n4-standard-8"]
        fast = parameters("block-fast", machine_types=types)
        assert fast["provisioned-iops-on-create"] == "3000" and fast["provisioned-throughput-on-create"] == "750Mi"
        assert parameters("block", machine_types=types) == {"type": "hyperdisk-balanced"}

    def test_shared_volumes_are_reached_in_the_clusters_network_with_the_tier_that_is_chosen(self) -> None:
        assert parameters("shared") == {"tier": "zonal", "network": "net"}
        assert parameters("shared", filestore_tier="premium")["tier"] == "premium"
        made = parameters("shared", filestore_tier="enterprise", filestore_multishare=True)
        assert made["multishare"] == "true"

    def test_the_network_of_another_project_has_its_full_name(self) -> None:
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
            ({"machine_types": ["n2-standard-8", "n4-standard-8"], "version": "1.34"}, "version", "write 1.35"),
        ],
    )
    def test_what_cannot_work_is_refused(self, args: dict[str, Any], path: str, words: str) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            storage(**args)
        assert f"  {path} = " in str(caught.value) and words in str(caught.value), caught.value

    def test_disks_of_one_kind_need_no_later_kubernetes(self) -> None:
        storage(machine_types=["n4-standard-8"], version="1.34")
        storage(machine_types=["n2-standard-8", "n4-standard-8"], version="1.35")


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
    def test_its_volume_is_for_one_claim_of_one_namespace(self) -> None:
        """security case M13."""
        spec = files().one("PersistentVolume").inputs["spec"]
        assert (spec["claimRef"]["namespace"], spec["claimRef"]["name"]) == ("training", "filestore")
        with pytest.raises(pulumi.RunError, match=r"namespace = 'ML'"):
            files(namespace="ML")

    def test_a_volume_spans_the_instance_and_keeps_its_data(self) -> None:
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
        assert made.one("PersistentVolume").options["deleteBeforeReplace"] is True, "two of a name cannot be"

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
    def test_a_tier_is_in_a_zone_or_in_the_region(self, args: dict[str, Any], location: str, tier: str) -> None:
        made = files(**args).one("gcp:filestore/instance:Instance").inputs
        assert (made["location"], made["tier"]) == (location, tier)

    def test_only_those_who_are_named_mount_it(self) -> None:
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

    def test_the_network_of_another_project_is_reached_by_private_services_access(self) -> None:
        (network,) = files(shared_vpc=True).one("gcp:filestore/instance:Instance").inputs["networks"]
        assert network["network"] == NETWORK and network["connectMode"] == "PRIVATE_SERVICE_ACCESS"
        (network,) = files().one("gcp:filestore/instance:Instance").inputs["networks"]
        assert network["network"] == "net" and network["connectMode"] == "DIRECT_PEERING"

    @pytest.mark.parametrize("protected", [True, False])
    def test_it_is_kept_by_google_and_pulumi_or_by_neither(self, protected: bool) -> None:
        made = files(deletion_protection=protected).one("gcp:filestore/instance:Instance")
        assert made.inputs["deletionProtectionEnabled"] is protected
        assert bool(made.options.get("protect")) is protected

    @pytest.mark.parametrize("protected", [True, False])
    def test_the_stack_keeps_it_when_it_keeps_the_cluster(self, protected: bool) -> None:
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
    def test_what_google_does_not_have_is_refused(self, args: dict[str, Any], path: str, words: str) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            files(**args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text and "one value" in text, text

    @pytest.mark.parametrize("name", filestore.TIERS)
    def test_the_size_that_a_fix_names_is_one_that_the_tier_has(self, name: str) -> None:
        tier = filestore.TIERS[name]
        for size in (0, 1, 1025, 2561, 9999, 10241, 60000, 999999):
            assert tier.holds(tier.next(size)), size


def volumes(**of: Any) -> Recording:
    """Recorded GcsBuckets called `buckets`, after a cluster, with one volume `data`."""

    def program() -> None:
        options = gcp_options()
        cluster = GkeCluster(
            "c",
            {
                "cluster_name": "train",
                "version": "1.35",
                "project": "gpuyard-project",
                "location": "us-central1",
                "zones": GCP_ZONES,
                "network_id": "net",
                "subnetwork_id": "sub",
            },
            options,
        )
        data = {"bucket": "acme-data", "namespace": "ml", **of}
        args = {"project": "gpuyard-project", "cluster": cluster.cluster_name, "buckets": {"data": data}}
        made = GcsBuckets("buckets", args, options)  # type: ignore[arg-type]
        pulumi.export("volume_names", made.volume_names)

    return run(program)


POOL = "iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gpuyard-project.svc.id.goog"


class TestBuckets:
    def test_a_volume_reads_the_bucket_and_nobody_deletes_it(self) -> None:
        made = volumes()
        spec = made.one("PersistentVolume").inputs["spec"]
        assert spec["accessModes"] == ["ReadOnlyMany"] and spec["csi"]["readOnly"] is True
        assert spec["csi"]["driver"] == "gcsfuse.csi.storage.gke.io" and spec["csi"]["volumeHandle"] == "acme-data"
        assert spec["persistentVolumeReclaimPolicy"] == "Retain" and spec["storageClassName"] == "gcs"
        assert "implicit-dirs" in spec["mountOptions"]
        assert made.one("PersistentVolume").options["deleteBeforeReplace"] is True, "two of a name cannot be"
        assert spec["csi"]["volumeAttributes"] == {"skipCSIBucketAccessCheck": "true"}, "the project's quota of tokens"
        assert made.exports["volume_names"] == ["data"] and not made.all("gcp:storage/bucket:Bucket")

    def test_pods_on_their_nodes_network_mount_it_where_the_volume_says_so(self) -> None:
        """gcs-fuse-csi-driver#428: there FUSE gets its token from the pod's service account by this attribute alone."""
        attributes = volumes(host_network=True).one("PersistentVolume").inputs["spec"]["csi"]["volumeAttributes"]
        assert attributes == {"skipCSIBucketAccessCheck": "true", "hostNetworkPodKSA": "true"}
        data = {"bucket": "acme-data", "namespace": "ml", "hostNetwork": True}
        made = record(changed("dev-gke", {"gpuyard:storage": {"buckets": {"data": data}}}), "dev-gke")
        (volume,) = made.all("kubernetes:core/v1:PersistentVolume")
        assert volume.inputs["spec"]["csi"]["volumeAttributes"] == attributes

    @pytest.mark.parametrize(("writable", "role"), [(False, "objectViewer"), (True, "objectUser")])
    def test_its_users_may_do_what_the_volume_does(self, writable: bool, role: str) -> None:
        made = volumes(writable=writable)
        member = made.one("BucketIAMMember").inputs
        assert member["role"] == f"roles/storage.{role}" and member["bucket"] == "acme-data"
        spec = made.one("PersistentVolume").inputs["spec"]
        assert spec["accessModes"] == (["ReadWriteMany"] if writable else ["ReadOnlyMany"])
        # False would be drift: the API server leaves it out, and what is mounted is replaced to change.
        assert spec["csi"].get("readOnly") is (None if writable else True)

    def test_the_right_waits_for_the_cluster_that_brings_the_identity_pool(self) -> None:
        """terraform-google-kubernetes-engine#916: in a new project the pool comes with the first cluster."""
        made = volumes()
        assert made.must_outlive(made.one("gcp:container/cluster:Cluster"), made.one("BucketIAMMember"))

    def test_its_users_are_those_of_one_namespace_or_one_account_in_it(self) -> None:
        def member(**of: Any) -> str:
            return volumes(**of).one("BucketIAMMember").inputs["member"]

        assert member(namespace="ml") == f"principalSet://{POOL}/namespace/ml"
        account = member(namespace="ml", service_account="trainer")
        assert account == f"principal://{POOL}/subject/ns/ml/sa/trainer"

    def test_a_volume_is_for_one_claim_of_one_namespace(self) -> None:
        """security case M13: else the first claim of any namespace would take it."""
        spec = volumes().one("PersistentVolume").inputs["spec"]
        assert spec["claimRef"] == {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "ml", "name": "data"
        }  # fmt: skip
        assert volumes(claim="mine").one("PersistentVolume").inputs["spec"]["claimRef"]["name"] == "mine"

    def test_nobody_has_a_bucket_by_default(self) -> None:
        """security case M1: `default` is a namespace of every cluster of the project."""
        data = {"bucket": "acme-data"}
        with pytest.raises(pulumi.RunError, match=r"storage\.buckets\.data\.namespace = None: missing"):
            parse("dev-gke", changed("dev-gke", {"gpuyard:storage": {"buckets": {"data": data}}}))
        many = changed("dev-gke", {"gpuyard:storage": {"buckets": {"data": {**data, "namespace": "ml"}}}})
        told = parse("dev-gke", many).warnings(date(2026, 11, 23))
        (said,) = [each for each in told if each.startswith("storage.")]
        assert said.startswith("storage.buckets.data.serviceAccount: all pods of the namespace ml may use")

    @pytest.mark.parametrize("prefix", ["train/images", "train/images/"])
    def test_a_prefix_is_mounted_alone_and_its_objects_alone_can_be_read(self, prefix: str) -> None:
        """FUSE asks for the whole bucket's layout before it mounts a part of it, so names are not restricted.

        security case M11: folders and managed folders are no objects, and were not restricted either.
        """
        made = volumes(prefix=prefix)
        assert "only-dir=train/images" in made.one("PersistentVolume").inputs["spec"]["mountOptions"]
        condition = made.one("BucketIAMMember").inputs["condition"]
        below = " || ".join(
            f'resource.name.startsWith("projects/_/buckets/acme-data/{kind}/train/images/")'
            for kind in ("objects", "folders", "managedFolders")
        )
        assert condition["expression"] == f'resource.type == "storage.googleapis.com/Bucket" || {below}'
        assert len(volumes(prefix="x" * 300).one("BucketIAMMember").inputs["condition"]["title"]) <= 100
        assert "condition" not in volumes().one("BucketIAMMember").inputs

    def test_the_right_is_there_before_the_volume_and_after_the_cluster(self) -> None:
        """The identity pool comes with the first cluster of a project."""
        made = volumes()
        member = made.one("BucketIAMMember")
        assert made.must_outlive(member, made.one("PersistentVolume"))
        assert made.must_outlive(made.one("gcp:container/cluster:Cluster"), member)

    def test_the_stack_makes_a_volume_for_each_bucket(self) -> None:
        two = {
            "data": {"bucket": "acme-data", "namespace": "ml"},
            "runs": {"bucket": "acme-runs", "writable": True, "namespace": "ml"},
        }
        made = record(changed("dev-gke", {"gpuyard:storage": {"buckets": two}}), "dev-gke")
        assert {found.inputs["metadata"]["name"] for found in made.all("PersistentVolume")} == {"data", "runs"}
        assert made.without_provider() == []

    @pytest.mark.parametrize(
        ("name", "of", "path", "words"),
        [
            ("Data", {}, "buckets.Data", "rename the volume"),
            # reliability case R15
            *(
                (name, {}, f"buckets.{name}", "is a storage class")
                for name in ("filestore", "gcs", "block", "block-fast", "shared")
            ),
            ("data", {"claim": "My Claim"}, "buckets.data.claim", "of a claim"),
            ("data", {"bucket": "gs://acme"}, "buckets.data.bucket", "without gs://"),
            ("data", {"bucket": "Acme"}, "buckets.data.bucket", "not a valid bucket name"),
            ("data", {"bucket": "a" * 64}, "buckets.data.bucket", "not a valid bucket name"),
            ("data", {"bucket": "10.0.0.1"}, "buckets.data.bucket", "IP address"),
            ("data", {"bucket": "my-google-data"}, "buckets.data.bucket", "reserves for Google"),
            ("data", {"bucket": "acme..data"}, "buckets.data.bucket", "not a valid bucket name"),
            ("data", {"prefix": "train/../secrets"}, "buckets.data.prefix", "'..' as folders"),
            ("data", {"prefix": "./train"}, "buckets.data.prefix", "not a prefix"),
            ("data", {"prefix": "/train/*"}, "buckets.data.prefix", "wildcards"),
            ("data", {"prefix": 'a"b'}, "buckets.data.prefix", "not a prefix"),
            ("data", {"namespace": "ML"}, "buckets.data.namespace", "namespace"),
            ("data", {"service_account": "a@b"}, "buckets.data.service_account", "service account"),
        ],
    )
    def test_what_cannot_be_mounted_is_refused(self, name: str, of: dict[str, Any], path: str, words: str) -> None:
        bucket = {"bucket": "acme-data", "namespace": "ml", **of}
        (found,) = buckets.problems({"project": "my-project", "cluster": "c", "buckets": {name: bucket}})  # type: ignore[dict-item]
        assert found.path == path and words in f"{found.wrong} {found.allowed} {found.fix}", found
        assert re.fullmatch(r"[a-z].*", found.fix)
