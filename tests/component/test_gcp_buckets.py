"""Cloud Storage buckets as volumes: who may use a bucket, which part of it is mounted, and what is refused."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pulumi
import pytest

from components import arguments
from components.gcp import buckets
from components.gcp.buckets import GcsBuckets, GcsBucketsArgs
from components.gcp.cluster import GkeCluster
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record
from tests.component.stage import GCP_ZONES, gcp_options
from tests.config.test_errors import changed, parse


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
    def test_a_volume_is_read_only_and_retained_by_default(self) -> None:
        made = volumes()
        spec = made.one("PersistentVolume").inputs["spec"]
        assert spec["accessModes"] == ["ReadOnlyMany"] and spec["csi"]["readOnly"] is True
        assert spec["csi"]["driver"] == "gcsfuse.csi.storage.gke.io" and spec["csi"]["volumeHandle"] == "acme-data"
        assert spec["persistentVolumeReclaimPolicy"] == "Retain" and spec["storageClassName"] == "gcs"
        assert "implicit-dirs" in spec["mountOptions"]
        assert made.one("PersistentVolume").options["deleteBeforeReplace"] is True, "names of volumes are unique"
        assert spec["csi"]["volumeAttributes"] == {"skipCSIBucketAccessCheck": "true"}, "the project's quota of tokens"
        assert made.exports["volume_names"] == ["data"] and not made.all("gcp:storage/bucket:Bucket")

    def test_mounting_by_pods_on_the_host_network_is_an_option(self) -> None:
        """gcs-fuse-csi-driver#428: there, FUSE gets a token of the pod's service account only with this attribute."""
        attributes = volumes(host_network=True).one("PersistentVolume").inputs["spec"]["csi"]["volumeAttributes"]
        assert attributes == {"skipCSIBucketAccessCheck": "true", "hostNetworkPodKSA": "true"}
        data = {"bucket": "acme-data", "namespace": "ml", "hostNetwork": True}
        made = record(changed("dev-gke", {"gpuyard:storage": {"buckets": {"data": data}}}), "dev-gke")
        (volume,) = made.all("kubernetes:core/v1:PersistentVolume")
        assert volume.inputs["spec"]["csi"]["volumeAttributes"] == attributes

    @pytest.mark.parametrize(("writable", "role"), [(False, "objectViewer"), (True, "objectUser")])
    def test_the_role_on_the_bucket_follows_from_writable(self, writable: bool, role: str) -> None:
        made = volumes(writable=writable)
        member = made.one("BucketIAMMember").inputs
        assert member["role"] == f"roles/storage.{role}" and member["bucket"] == "acme-data"
        spec = made.one("PersistentVolume").inputs["spec"]
        assert spec["accessModes"] == (["ReadWriteMany"] if writable else ["ReadOnlyMany"])
        # False would be drift: the API server omits it, and a change replaces the mounted volume.
        assert spec["csi"].get("readOnly") is (None if writable else True)

    def test_the_role_on_the_bucket_depends_on_the_cluster(self) -> None:
        """terraform-google-kubernetes-engine#916: in a new project, the first cluster creates the identity pool."""
        made = volumes()
        assert made.must_outlive(made.one("gcp:container/cluster:Cluster"), made.one("BucketIAMMember"))

    def test_the_role_is_granted_to_one_namespace_or_one_service_account(self) -> None:
        def member(**of: Any) -> str:
            return volumes(**of).one("BucketIAMMember").inputs["member"]

        assert member(namespace="ml") == f"principalSet://{POOL}/namespace/ml"
        account = member(namespace="ml", service_account="trainer")
        assert account == f"principal://{POOL}/subject/ns/ml/sa/trainer"

    def test_a_volume_is_reserved_for_one_claim_of_one_namespace(self) -> None:
        """security case M13: otherwise the first claim of any namespace could bind it."""
        spec = volumes().one("PersistentVolume").inputs["spec"]
        assert spec["claimRef"] == {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": "ml", "name": "data"
        }  # fmt: skip
        assert volumes(claim="mine").one("PersistentVolume").inputs["spec"]["claimRef"]["name"] == "mine"

    def test_the_namespace_of_a_bucket_is_required(self) -> None:
        """security case M1: `default` is a namespace of every cluster of the project."""
        data = {"bucket": "acme-data"}
        with pytest.raises(pulumi.RunError, match=r"storage\.buckets\.data\.namespace = None: missing"):
            parse("dev-gke", changed("dev-gke", {"gpuyard:storage": {"buckets": {"data": data}}}))
        many = changed("dev-gke", {"gpuyard:storage": {"buckets": {"data": {**data, "namespace": "ml"}}}})
        warnings = parse("dev-gke", many).warnings(date(2026, 11, 23))
        (warning,) = [each for each in warnings if each.startswith("storage.")]
        assert warning.startswith("storage.buckets.data.serviceAccount: all pods of the namespace ml may use")

    @pytest.mark.parametrize("prefix", ["train/images", "train/images/"])
    def test_with_a_prefix_only_its_objects_are_mounted_and_readable(self, prefix: str) -> None:
        """FUSE lists the bucket before it mounts a prefix, so listing is not restricted.

        security case M11: folders and managed folders are separate resources, so the condition names them as well.
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

    def test_the_role_on_the_bucket_precedes_the_volume(self) -> None:
        """The first cluster of a project creates the identity pool."""
        made = volumes()
        member = made.one("BucketIAMMember")
        assert made.must_outlive(member, made.one("PersistentVolume"))
        assert made.must_outlive(made.one("gcp:container/cluster:Cluster"), member)

    def test_the_stack_creates_a_volume_for_each_bucket(self) -> None:
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
    def test_invalid_buckets_are_refused(self, name: str, of: dict[str, Any], path: str, words: str) -> None:
        bucket = {"bucket": "acme-data", "namespace": "ml", **of}
        (found,) = buckets.problems(
            arguments.cleaned(GcsBucketsArgs, {"project": "my-project", "cluster": "c", "buckets": {name: bucket}})
        )
        assert found.path == path and words in f"{found.wrong} {found.allowed} {found.fix}", found
        assert re.fullmatch(r"[a-z].*", found.fix)

    def test_a_claim_gets_one_volume(self) -> None:
        """Kubernetes binds a claim to one volume; the other would wait forever."""
        data: Any = {"bucket": "acme-data", "namespace": "ml"}
        given = {"data": data, "runs": {**data, "claim": "data"}, "logs": {**data, "claim": "data", "namespace": "ops"}}
        (found,) = buckets.problems({"project": "my-project", "cluster": "c", "buckets": given})
        assert found.path == "buckets.runs.claim" and "the claim of buckets.data in the namespace ml" in found.wrong
