"""S3 buckets as volumes, and which claim a volume is reserved for."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components import arguments
from components.aws import buckets as aws_buckets
from tests.component.aws_volumes import CLUSTER, buckets, lustre, named


def filled(wanted: dict[str, Any]) -> aws_buckets.S3BucketsArgs:
    """Arguments with the declared defaults, as the component's checks get them."""
    return arguments.cleaned(aws_buckets.S3BucketsArgs, {**CLUSTER, "region": "us-east-1", "buckets": wanted})


class TestClaims:
    """security case M13: which claim a manually created volume is reserved for."""

    def test_a_volume_is_reserved_for_the_claim_of_its_name_in_its_namespace(self) -> None:
        made = lustre(namespace="training")
        reference = named(made, "PersistentVolume", "lustre")["spec"]["claimRef"]
        assert (reference["namespace"], reference["name"]) == ("training", "lustre")
        assert "claimRef" not in named(lustre(), "PersistentVolume", "lustre")["spec"]

    def test_a_bucket_is_reserved_for_its_namespace(self) -> None:
        made = buckets(data={"bucket": "acme-datasets", "namespace": "training"})
        reference = made.one("PersistentVolume").inputs["spec"]["claimRef"]
        assert (reference["namespace"], reference["name"]) == ("training", "data")

    def test_access_is_limited_to_buckets_of_the_given_account(self) -> None:
        """A bucket of the same name in another account is not used."""
        given = {"ours": {"bucket": "acme-a"}, "theirs": {"bucket": "acme-b", "account": "210987654321"}}
        policy = json.loads(buckets(**given).one("RolePolicy").inputs["policy"])
        owners = {
            statement["Resource"].removeprefix("arn:aws:s3:::").split("/")[0]: statement["Condition"]["StringEquals"]
            for statement in policy["Statement"]
        }
        assert owners == {
            "acme-a": {"s3:ResourceAccount": "123456789012"},
            "acme-b": {"s3:ResourceAccount": "210987654321"},
        }


class TestBuckets:
    def test_the_driver_tolerates_all_taints(self) -> None:
        """mountpoint-s3-csi-driver#107: otherwise pods there fail with "driver name s3.csi.aws.com not found"."""
        (addon,) = buckets().all("aws:eks/addon:Addon")
        assert json.loads(addon.inputs["configurationValues"]) == {"node": {"tolerateAllTaints": True}}

    def test_the_driver_can_access_only_the_named_buckets(self) -> None:
        """Least privilege: no wildcard bucket, and no write where a volume is read-only."""
        policy = json.loads(buckets().one("RolePolicy").inputs["policy"])
        ours = {"StringEquals": {"s3:ResourceAccount": "123456789012"}}
        assert policy["Statement"] == [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": "arn:aws:s3:::acme-datasets",
                "Condition": {**ours, "StringLike": {"s3:prefix": "train/images/*"}},
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": "arn:aws:s3:::acme-datasets/train/images/*",
                "Condition": ours,
            },
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": "arn:aws:s3:::acme-runs",
                "Condition": {**ours, "StringLike": {"s3:prefix": "checkpoints/*"}},
            },
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"],
                "Resource": "arn:aws:s3:::acme-runs/checkpoints/*",
                "Condition": ours,
            },
        ]

    def test_a_whole_bucket_needs_no_condition(self) -> None:
        made = buckets(all={"bucket": "acme-datasets"})
        listing, reading = json.loads(made.one("RolePolicy").inputs["policy"])["Statement"]
        assert "StringLike" not in listing["Condition"] and reading["Resource"] == "arn:aws:s3:::acme-datasets/*"
        assert not [
            option for option in made.one("PersistentVolume").inputs["spec"]["mountOptions"] if "prefix" in option
        ]

    def test_a_volume_is_read_only_unless_it_is_writable(self) -> None:
        """seed row S11: one PersistentVolume per bucket, with its prefix; the data outlives the claim."""
        made = buckets()
        reading = named(made, "PersistentVolume", "datasets")["spec"]
        writing = named(made, "PersistentVolume", "runs")["spec"]
        assert (reading["accessModes"], writing["accessModes"]) == (["ReadOnlyMany"], ["ReadWriteMany"])
        assert {"read-only", "prefix train/images/"} <= set(reading["mountOptions"])
        assert {"allow-delete", "allow-overwrite", "prefix checkpoints/"} <= set(writing["mountOptions"])
        assert "read-only" not in writing["mountOptions"] and "allow-delete" not in reading["mountOptions"]
        for spec, bucket in ((reading, "acme-datasets"), (writing, "acme-runs")):
            assert spec["csi"]["driver"] == "s3.csi.aws.com"
            assert spec["csi"]["volumeAttributes"] == {"bucketName": bucket}
            assert spec["persistentVolumeReclaimPolicy"] == "Retain"
            assert spec["storageClassName"] == "s3"
            # Nodes' metadata, where Mountpoint would look for it, is closed to pods.
            assert "region us-east-1" in spec["mountOptions"]

    def test_two_volumes_of_one_bucket_have_different_handles(self) -> None:
        """If two volumes have the same handle, a node mounts only the first."""
        made = buckets(a={"bucket": "acme-runs"}, b={"bucket": "acme-runs"})
        handles = [found.inputs["spec"]["csi"]["volumeHandle"] for found in made.all("PersistentVolume")]
        assert len(set(handles)) == 2

    def test_a_volume_is_deleted_before_its_driver_and_buckets_are_left_alone(self) -> None:
        made = buckets()
        driver = made.one("aws:eks/addon:Addon")
        assert driver.inputs["addonName"] == "aws-mountpoint-s3-csi-driver"
        assert driver.inputs["podIdentityAssociations"][0]["serviceAccount"] == "s3-csi-driver-sa"
        for volume in made.all("PersistentVolume"):
            assert made.must_outlive(driver, volume)
        assert not [found for found in made.resources.values() if found.type.startswith("aws:s3")]

    @pytest.mark.parametrize(
        ("name", "bucket", "path", "words"),
        [
            ("Data", {"bucket": "acme"}, "buckets.Data", ["rename the volume"]),
            ("a_b", {"bucket": "acme"}, "buckets.a_b", ["rename the volume"]),
            ("lustre", {"bucket": "acme"}, "buckets.lustre", ["FSx for Lustre's volume"]),
            ("d", {"bucket": "Acme"}, "buckets.d.bucket", ["lower-case"]),
            ("d", {"bucket": "s3://acme"}, "buckets.d.bucket", ["without s3://"]),
            ("d", {"bucket": "a..b"}, "buckets.d.bucket", ["two dots"]),
            ("d", {"bucket": "ab"}, "buckets.d.bucket", ["3 to 63"]),
            ("d", {"bucket": "10.0.0.1"}, "buckets.d.bucket", ["IP address"]),
            ("d", {"bucket": "acme--use1-az4--x-s3"}, "buckets.d.bucket", ["directory bucket"]),
            ("d", {"bucket": "acme-s3alias"}, "buckets.d.bucket", ["alias"]),
            ("d", {"bucket": "acme", "prefix": "/train"}, "buckets.d.prefix", ["train/images/"]),
            ("d", {"bucket": "acme", "prefix": "a b/"}, "buckets.d.prefix", ["blanks"]),
            ("d", {"bucket": "acme", "prefix": "a*"}, "buckets.d.prefix", ["wildcards"]),
        ],
    )
    def test_a_wrong_argument_is_refused_with_its_path(
        self, name: str, bucket: Any, path: str, words: list[str]
    ) -> None:
        found = list(aws_buckets.problems(filled({name: bucket})))
        assert [problem.path for problem in found] == [path]
        assert all(word in str(found[0]) for word in words), str(found[0])
        with pytest.raises(pulumi.RunError, match=f"S3Buckets buckets: one value(.|\n)*{path} = "):
            buckets(**{name: bucket})

    def test_more_buckets_than_a_role_policy_can_hold_are_refused(self) -> None:
        many = {f"v{index}": {"bucket": f"acme-datasets-{index}", "prefix": "train/"} for index in range(60)}
        found = list(aws_buckets.problems(filled(many)))
        assert [problem.path for problem in found] == ["buckets"] and "10,240" in str(found[0])
