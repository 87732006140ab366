"""Storage on AWS: what the file systems, buckets, classes and volumes ask the SDK for."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pulumi
import pytest
from parliament import analyze_policy_string

from components.aws import buckets as aws_buckets
from components.aws import lustre as aws_lustre
from components.aws.buckets import S3Buckets
from components.aws.lustre import FsxLustre
from components.aws.storage import AwsStorage
from sandbox.aws.disks import performance
from sandbox.cluster.volumes import Refused
from tests.component.stage import AWS_ZONES, aws_options
from tests.recorder import run
from tests.recording import Recording, Resource
from tests.stacks import record, settings

CLUSTER = {"cluster": "train", "cluster_name": "train", "kubernetes_version": "1.35"}
PLACE = {
    "network_id": "vpc-1",
    "zones": AWS_ZONES,
    "subnet_ids": ["subnet-1", "subnet-2"],
    "security_group_id": "sg-nodes",
}
DATASETS = {"bucket": "acme-datasets", "prefix": "train/images"}
CHECKPOINTS = {"bucket": "acme-runs", "prefix": "checkpoints/", "writable": True}


def storage(**args: Any) -> Recording:
    """A recorded AwsStorage called `storage`."""
    return run(lambda: AwsStorage("storage", {**CLUSTER, **PLACE, **args}, aws_options()))  # type: ignore[typeddict-item]


def lustre(**args: Any) -> Recording:
    """A recorded FsxLustre called `lustre` in the second zone."""
    wanted = {**CLUSTER, **PLACE, "zone": "us-east-1b", **args}
    return run(lambda: FsxLustre("lustre", wanted, aws_options()))  # type: ignore[arg-type]


def buckets(**volumes: Any) -> Recording:
    """Recorded S3Buckets called `buckets`."""
    wanted = {**CLUSTER, "region": "us-east-1", "buckets": volumes or {"datasets": DATASETS, "runs": CHECKPOINTS}}
    return run(lambda: S3Buckets("buckets", wanted, aws_options()))  # type: ignore[arg-type]


def named(made: Recording, kind: str, name: str) -> dict[str, Any]:
    """The inputs of the Kubernetes object of that kind whose name in the cluster is `name`."""
    return next(found.inputs for found in made.all(kind) if found.inputs["metadata"]["name"] == name)


def statements(policy: str) -> dict[str, dict[str, Any]]:
    """A policy's statements by their ids."""
    return {found["Sid"]: found for found in json.loads(policy)["Statement"]}


class TestBlockVolumes:
    def test_fast_volumes_are_encrypted_gp3_and_the_default_class_waits_for_the_pod(self) -> None:
        """seed row S11: EBS for one pod; EKS has no default class, so there is exactly one here."""
        made = storage()
        classes = {found.inputs["metadata"]["name"]: found.inputs for found in made.all("StorageClass")}
        for name in ("block", "block-fast"):
            assert classes[name]["provisioner"] == "ebs.csi.aws.com"
            assert classes[name]["parameters"]["type"] == "gp3"
            assert classes[name]["parameters"]["encrypted"] == "true"
            assert classes[name]["volumeBindingMode"] == "WaitForFirstConsumer"
            assert classes[name]["allowVolumeExpansion"] is True
        default = "storageclass.kubernetes.io/is-default-class"
        assert [name for name, found in classes.items() if default in (found["metadata"].get("annotations") or {})] == [
            "block"
        ]
        assert int(classes["block-fast"]["parameters"]["throughput"]) > 125
        assert "throughput" not in classes["block"]["parameters"]
        assert all(isinstance(value, str) for found in classes.values() for value in found["parameters"].values())

    @pytest.mark.parametrize("size", [1, 5, 7, 8, 16384])
    def test_a_claim_of_any_size_gets_its_volume(self, size: int) -> None:
        """field case A14: what EC2 takes after the driver's own arithmetic; 16,000 IOPS began at 8 GiB."""
        for found in storage().all("StorageClass"):
            if found.inputs["provisioner"] == "ebs.csi.aws.com":
                wanted = {key: int(found.inputs["parameters"].get(key, 0)) for key in ("iops", "throughput")}
                assert performance("gp3", size, **wanted)["Iops"] >= 3000
        with pytest.raises(Refused):
            performance("gp3", min(size, 7), 16000, 1000)

    def test_volumes_and_snapshots_of_claims_have_the_tags(self) -> None:
        """field case A8: the provider's default tags do not reach what the driver makes."""
        (addon,) = [found for found in storage(tags={"team": "ml"}).all("Addon") if "ebs" in found.name]
        assert json.loads(addon.inputs["configurationValues"]) == {"controller": {"extraVolumeTags": {"team": "ml"}}}
        (addon,) = [found for found in storage().all("Addon") if "ebs" in found.name]
        assert "configurationValues" not in addon.inputs

    def test_snapshots_have_one_default_class_that_keeps_what_they_hold(self) -> None:
        found = storage().one("VolumeSnapshotClass")
        assert found.inputs["driver"] == "ebs.csi.aws.com"
        assert found.inputs["deletionPolicy"] == "Retain"
        assert found.inputs["metadata"] == {
            "name": "block",
            "annotations": {"snapshot.storage.kubernetes.io/is-default-class": "true"},
        }
        assert {"driver", "deletionPolicy"} <= set(found.options["replaceOnChanges"])

    def test_the_snapshot_class_and_the_drivers_sidecar_come_after_their_kinds(self) -> None:
        """The add-on brings the kinds; the driver leaves its sidecar out where they are missing."""
        made = storage()
        kinds = made.one("aws:eks/addon:Addon", "storage-snapshots")
        assert kinds.inputs["addonName"] == "snapshot-controller"
        assert not kinds.inputs.get("podIdentityAssociations")
        for later in (made.one("VolumeSnapshotClass"), made.one("aws:eks/addon:Addon", "storage-ebs-csi")):
            assert made.must_outlive(kinds, later), later


class TestSharedVolumes:
    def test_shared_volumes_are_access_points_of_one_encrypted_file_system_and_survive_their_claims(self) -> None:
        """seed row S11: EFS for data sets and checkpoints that many pods share."""
        made = storage()
        system = made.one("aws:efs/fileSystem:FileSystem")
        shared = named(made, "StorageClass", "shared")
        assert shared["provisioner"] == "efs.csi.aws.com"
        assert shared["parameters"]["provisioningMode"] == "efs-ap"
        assert shared["parameters"]["fileSystemId"] == system.id
        assert shared["parameters"]["directoryPerms"]
        assert shared["reclaimPolicy"] == "Retain"
        assert system.inputs["encrypted"] is True and system.options["protect"] is True
        assert system.inputs["throughputMode"] == "elastic"

    def test_each_shared_volume_has_a_user_id_of_its_own_up_to_the_limit_of_access_points(self) -> None:
        parameters = named(storage(), "StorageClass", "shared")["parameters"]
        assert int(parameters["gidRangeEnd"]) - int(parameters["gidRangeStart"]) + 1 == 10_000

    def test_each_zone_can_mount_the_shared_file_system_from_the_nodes_alone(self) -> None:
        made = storage()
        targets = made.all("MountTarget")
        assert {found.inputs["subnetId"] for found in targets} == {"subnet-1", "subnet-2"}
        rule = made.one("SecurityGroupIngressRule")
        assert rule.inputs["referencedSecurityGroupId"] == "sg-nodes"
        assert (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["ipProtocol"]) == (2049, 2049, "tcp")
        assert all(found.inputs["securityGroups"] == [made.one("SecurityGroup").id] for found in targets)

    def test_clients_mount_over_tls_by_a_mount_target_and_never_as_root(self) -> None:
        made = storage()
        found = made.one("aws:efs/fileSystemPolicy:FileSystemPolicy")
        system = made.one("aws:efs/fileSystem:FileSystem")
        assert found.inputs["fileSystemId"] == system.id
        policy = statements(found.inputs["policy"])
        mount, tls = policy["MountFromNodes"], policy["OnlyOverTls"]
        assert set(mount["Action"]) == {"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"}
        assert mount["Condition"] == {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}
        assert (tls["Effect"], tls["Action"]) == ("Deny", "*")
        assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert {each["Resource"] for each in policy.values()} == {system.outputs["arn"]}

    def test_the_root_of_the_shared_file_system_is_mounted_by_nobody(self) -> None:
        """security case H5: there a pod would see all volumes, as the user that it says it is."""
        policy = statements(storage().one("aws:efs/fileSystemPolicy:FileSystemPolicy").inputs["policy"])
        root = policy["OnlyByAccessPoint"]
        assert root["Effect"] == "Deny" and root["Principal"] == {"AWS": "*"}
        assert set(root["Action"]) >= {"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"}
        assert root["Condition"] == {"Null": {"elasticfilesystem:AccessPointArn": "true"}}

    def test_backups_are_a_choice(self) -> None:
        assert storage().all("BackupPolicy") == []
        made = storage(backups=True)
        found = made.one("aws:efs/backupPolicy:BackupPolicy").inputs
        assert found["backupPolicy"] == {"status": "ENABLED"}
        assert found["fileSystemId"] == made.one("aws:efs/fileSystem:FileSystem").id

    def test_a_class_is_gone_before_its_driver_and_the_file_systems_mount_targets_and_policy(self) -> None:
        made = storage()
        shared = made.one("StorageClass", "storage-shared")
        driver = made.one("aws:eks/addon:Addon", "storage-efs-csi")
        for needed in (*made.all("MountTarget"), made.one("FileSystemPolicy"), driver):
            assert made.must_outlive(needed, shared), needed

    def test_the_drivers_get_their_rights_by_pod_identity(self) -> None:
        made = storage()
        accounts = {"storage-ebs-csi": "ebs-csi-controller-sa", "storage-efs-csi": "efs-csi-controller-sa"}
        for addon, account in accounts.items():
            identity = made.one("aws:eks/addon:Addon", addon).inputs["podIdentityAssociations"][0]
            role = next(found for found in made.all("Role") if found.outputs["arn"] == identity["roleArn"])
            assert identity["serviceAccount"] == account
            assert f'"{account}"' in role.inputs["assumeRolePolicy"]


class TestLustre:
    def test_the_file_system_is_a_persistent_one_on_ssd_in_the_subnet_of_its_zone(self) -> None:
        inputs = lustre(size_gib=4800, throughput=500).one("LustreFileSystem").inputs
        assert (inputs["deploymentType"], inputs["storageType"]) == ("PERSISTENT_2", "SSD")
        assert (inputs["storageCapacity"], inputs["perUnitStorageThroughput"]) == (4800, 500)
        assert inputs["subnetIds"] == "subnet-2"
        assert inputs["fileSystemTypeVersion"] == "2.15"

    def test_numbers_of_other_languages_are_whole_ones(self) -> None:
        made = lustre(size_gib=2400.0, throughput=250.0)
        assert named(made, "PersistentVolume", "lustre")["spec"]["capacity"] == {"storage": "2400Gi"}
        assert made.one("LustreFileSystem").inputs["storageCapacity"] == 2400

    def test_lustres_ports_are_open_to_the_nodes_and_among_the_servers_and_to_nobody_else(self) -> None:
        made = lustre()
        group = made.one("SecurityGroup").id
        opened = {
            (kind, f.inputs["securityGroupId"], f.inputs["referencedSecurityGroupId"], f.inputs["fromPort"])
            for kind in ("Ingress", "Egress")
            for f in made.all(f"SecurityGroup{kind}Rule")
        }
        pairs = [("Ingress", group, "sg-nodes"), ("Egress", group, "sg-nodes"), ("Ingress", "sg-nodes", group)]
        pairs += [("Ingress", group, group), ("Egress", group, group)]
        assert opened == {(*pair, port) for pair in pairs for port in (988, 1018)}
        ranges = {(f.inputs["fromPort"], f.inputs["toPort"]) for f in made.all("SecurityGroupIngressRule")}
        assert ranges == {(988, 988), (1018, 1023)}
        assert made.one("LustreFileSystem").inputs["securityGroupIds"] == [group]

    def test_the_file_system_comes_after_the_rules_without_which_fsx_refuses_it(self) -> None:
        made = lustre()
        for rule in (*made.all("SecurityGroupIngressRule"), *made.all("SecurityGroupEgressRule")):
            assert made.must_outlive(rule, made.one("LustreFileSystem")), rule

    def test_the_volume_is_the_whole_file_system_and_outlives_its_claim(self) -> None:
        """seed row S11: one PersistentVolume, ReadWriteMany, Retain, by the file system's own addresses."""
        made = lustre(size_gib=2400)
        system = made.one("LustreFileSystem")
        spec = named(made, "PersistentVolume", "lustre")["spec"]
        assert spec["csi"] == {
            "driver": "fsx.csi.aws.com",
            "volumeHandle": system.id,
            "volumeAttributes": {"dnsname": system.outputs["dnsName"], "mountname": system.outputs["mountName"]},
        }
        assert spec["capacity"] == {"storage": "2400Gi"}
        assert (spec["accessModes"], spec["storageClassName"]) == (["ReadWriteMany"], "lustre")
        assert spec["persistentVolumeReclaimPolicy"] == "Retain"

    def test_the_volume_is_gone_before_its_file_system_its_link_and_its_driver(self) -> None:
        made = lustre(s3="s3://acme-datasets/train/")
        volume = made.one("PersistentVolume")
        driver = made.one("aws:eks/addon:Addon")
        assert driver.inputs["addonName"] == "aws-fsx-csi-driver"
        for needed in (driver, made.one("LustreFileSystem"), made.one("DataRepositoryAssociation")):
            assert made.must_outlive(needed, volume), needed

    def test_a_bucket_is_read_and_written_to_by_choice(self) -> None:
        """security case H6: `rm` on the file system would delete objects."""
        made = lustre(s3="s3://acme-datasets/train/")
        inputs = made.one("DataRepositoryAssociation").inputs
        assert inputs["dataRepositoryPath"] == "s3://acme-datasets/train/"
        assert (inputs["fileSystemPath"], inputs["batchImportMetaDataOnCreate"]) == ("/", True)
        assert inputs["s3"]["autoImportPolicy"]["events"] == ["NEW", "CHANGED", "DELETED"]
        assert "autoExportPolicy" not in inputs["s3"]
        both = lustre(s3="s3://acme-datasets/train/", exports=["changed", "new"])
        exported = both.one("DataRepositoryAssociation").inputs["s3"]["autoExportPolicy"]
        assert exported["events"] == ["NEW", "CHANGED"]
        assert lustre().all("DataRepositoryAssociation") == []

    @pytest.mark.parametrize(
        ("args", "days", "skip"),
        [
            ({}, 0, True),
            ({"backups": True}, 7, False),
            # FSx makes no backup of a file system that is linked to a bucket.
            ({"backups": True, "s3": "s3://acme-datasets"}, 0, True),
        ],
    )
    def test_backups_are_a_choice_where_fsx_makes_them(self, args: dict[str, Any], days: int, skip: bool) -> None:
        inputs = lustre(**args).one("LustreFileSystem").inputs
        assert (inputs["automaticBackupRetentionDays"], inputs["skipFinalBackup"]) == (days, skip)

    def test_deletion_protection_keeps_the_file_system(self) -> None:
        assert lustre().one("LustreFileSystem").options["protect"] is True
        assert not lustre(deletion_protection=False).one("LustreFileSystem").options.get("protect")

    def test_the_driver_may_only_look(self) -> None:
        """It provisions nothing, so it can neither make nor delete a file system."""
        policy = json.loads(lustre().one("RolePolicy").inputs["policy"])
        assert [found["Action"] for found in policy["Statement"]] == [["fsx:DescribeFileSystems"]]

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"zone": "us-east-1c"}, "zone", ["us-east-1a, us-east-1b"]),
            ({"size_gib": 3600}, "size_gib", ["1200 GiB, 2400 GiB", "write 4800"]),
            ({"size_gib": 1500}, "size_gib", ["write 2400"]),
            ({"size_gib": 100}, "size_gib", ["write 1200"]),
            ({"size_gib": 0}, "size_gib", ["write 1200"]),
            ({"throughput": 200}, "throughput", ["125, 250, 500, 1000", "write 250"]),
            ({"throughput": 5000}, "throughput", ["write 1000"]),
            ({"s3": "acme-datasets/train"}, "s3", ["s3://BUCKET", "write s3://acme-datasets/train"]),
            ({"s3": "https://acme-datasets"}, "s3", ["write s3://acme-datasets"]),
            ({"s3": "s3://Acme"}, "s3", ["'Acme' is no name of a bucket"]),
            ({"s3": "s3://acme/a//b"}, "s3", ["'a//b' is no prefix"]),
            ({"s3": f"s3://acme/{'a' * 900}"}, "s3", ["shorten the prefix"]),
            ({"s3": "s3://acme", "exports": ["NEW"]}, "exports[0]", ["write new"]),
            ({"s3": "s3://acme", "exports": ["new", "new"]}, "exports[1]", ["named twice"]),
            ({"exports": ["new"]}, "exports", ["no bucket to export to"]),
            ({"namespace": "Team"}, "namespace", ["kubectl get namespaces"]),
        ],
    )
    def test_a_wrong_argument_is_refused_with_its_path(self, args: Any, path: str, words: list[str]) -> None:
        found = list(aws_lustre.problems({**CLUSTER, **PLACE, "zone": "us-east-1a", **args}))  # type: ignore[typeddict-item]
        assert [problem.path for problem in found] == [path]
        assert all(word in str(found[0]) for word in words), str(found[0])
        with pytest.raises(pulumi.RunError, match=rf"FsxLustre lustre: one value(.|\n)*{re.escape(path)} = "):
            lustre(**args)

    @pytest.mark.parametrize("size", [1200, 2400, 4800, 100_800])
    def test_the_sizes_of_fsx_are_taken(self, size: int) -> None:
        args = {**CLUSTER, **PLACE, "zone": "us-east-1a", "size_gib": size, "s3": "s3://acme.data/a/b=1/"}
        assert list(aws_lustre.problems(args)) == []  # type: ignore[arg-type]


class TestClaims:
    """security case M13: whose claim takes a volume that is written down."""

    def test_a_volume_is_for_the_claim_of_its_name_in_the_namespace_that_is_named(self) -> None:
        made = lustre(namespace="training")
        reference = named(made, "PersistentVolume", "lustre")["spec"]["claimRef"]
        assert (reference["namespace"], reference["name"]) == ("training", "lustre")
        assert "claimRef" not in named(lustre(), "PersistentVolume", "lustre")["spec"]

    def test_a_bucket_is_for_its_namespace_too(self) -> None:
        made = buckets(data={"bucket": "acme-datasets", "namespace": "training"})
        reference = made.one("PersistentVolume").inputs["spec"]["claimRef"]
        assert (reference["namespace"], reference["name"]) == ("training", "data")

    def test_the_owner_of_a_bucket_is_written_down(self) -> None:
        """A bucket of that name that another account has made later is not used."""
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
    def test_the_driver_is_on_tainted_nodes_too(self) -> None:
        """mountpoint-s3-csi-driver#107: else "driver name s3.csi.aws.com not found" on them."""
        (addon,) = buckets().all("aws:eks/addon:Addon")
        assert json.loads(addon.inputs["configurationValues"]) == {"node": {"tolerateAllTaints": True}}

    def test_the_driver_may_read_and_write_what_is_named_and_nothing_else(self) -> None:
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

    def test_two_volumes_of_one_bucket_have_handles_of_their_own(self) -> None:
        """Of two volumes with one handle a node mounts only the first."""
        made = buckets(a={"bucket": "acme-runs"}, b={"bucket": "acme-runs"})
        handles = [found.inputs["spec"]["csi"]["volumeHandle"] for found in made.all("PersistentVolume")]
        assert len(set(handles)) == 2

    def test_a_volume_is_gone_before_its_driver_and_no_bucket_is_touched(self) -> None:
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
        found = list(aws_buckets.problems({**CLUSTER, "region": "us-east-1", "buckets": {name: bucket}}))  # type: ignore[typeddict-item]
        assert [problem.path for problem in found] == [path]
        assert all(word in str(found[0]) for word in words), str(found[0])
        with pytest.raises(pulumi.RunError, match=f"S3Buckets buckets: one value(.|\n)*{path} = "):
            buckets(**{name: bucket})

    def test_more_buckets_than_fit_a_roles_policy_are_refused(self) -> None:
        many = {f"v{index}": {"bucket": f"acme-datasets-{index}", "prefix": "train/"} for index in range(60)}
        found = list(aws_buckets.problems({**CLUSTER, "region": "us-east-1", "buckets": many}))  # type: ignore[typeddict-item]
        assert [problem.path for problem in found] == ["buckets"] and "10,240" in str(found[0])


@pytest.fixture(scope="module")
def made() -> Recording:
    """dev with everything that storage can have, protected."""
    config = {**copy.deepcopy(settings("dev")), "gpuyard:deletionProtection": True}
    config["gpuyard:storage"] = {
        "backups": True,
        "lustre": {"zone": "us-east-1a", "sizeGib": 2400, "s3": "s3://acme-datasets/train"},
        "buckets": {"datasets": DATASETS, "runs": CHECKPOINTS},
    }
    return record(config, "dev")


class TestTheWholeEnvironment:
    def inside(self, made: Recording) -> list[Resource]:
        """What the storage components made."""
        kinds = ("gpuyard:index:AwsStorage", "gpuyard:index:FsxLustre", "gpuyard:index:S3Buckets")
        return [child for kind in kinds for child in made.children(made.one(kind)) if child.custom]

    def test_everything_goes_before_the_cluster_and_the_nodes_of_the_drivers(self, made: Recording) -> None:
        cluster, cpu = made.one("aws:eks/cluster:Cluster"), made.one("NodeGroup", "cpu-workers-us-east-1a")
        assert len(self.inside(made)) >= 40
        for found in self.inside(made):
            if found.package == "kubernetes" or found.type == "aws:eks/addon:Addon":
                assert made.must_outlive(cluster, found), found
                assert made.must_outlive(cpu, found), found

    def test_every_resource_has_the_providers_of_the_stack(self, made: Recording) -> None:
        assert [str(found) for found in self.inside(made) if found.package and not found.provider] == []

    def test_no_policy_of_ours_writes_to_more_than_it_names(self, made: Recording) -> None:
        """seed row S04: and the linter has nothing against them."""
        for found in made.all("RolePolicy"):
            text = found.inputs["policy"]
            assert [str(finding) for finding in analyze_policy_string(text).findings] == [], found
            if "storage" in found.name or "lustre" in found.name or "buckets" in found.name:
                for statement in json.loads(text)["Statement"]:
                    reads = all(a.split(":")[1].startswith(("Get", "List", "Describe")) for a in statement["Action"])
                    assert reads or not statement["Resource"].startswith(("*", "arn:aws:s3:::*")), found

    def test_what_holds_data_is_protected_and_what_shows_it_is_kept(self, made: Recording) -> None:
        protected = {found.type for found in self.inside(made) if found.options.get("protect")}
        assert protected == {"aws:efs/fileSystem:FileSystem", "aws:fsx/lustreFileSystem:LustreFileSystem"}
        for volume in made.all("PersistentVolume"):
            assert volume.inputs["spec"]["persistentVolumeReclaimPolicy"] == "Retain"

    def test_the_stack_tells_the_same_as_without(self, made: Recording) -> None:
        assert made.exports["storageClasses"] == ["block", "block-fast", "shared"]

    def test_the_files_choices_reach_the_file_systems(self, made: Recording) -> None:
        system = made.one("LustreFileSystem").inputs
        assert (system["storageCapacity"], system["perUnitStorageThroughput"]) == (2400, 125)
        assert made.one("BackupPolicy").inputs["backupPolicy"] == {"status": "ENABLED"}
        assert {found.inputs["metadata"]["name"] for found in made.all("PersistentVolume")} == {
            *("lustre", "datasets", "runs")
        }
