"""Storage on AWS: volumes for one pod and for many, and the whole of it in a stack."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from parliament import analyze_policy_string

from components.aws import drivers
from recording.recording import Recording, Resource
from recording.stacks import record, settings
from sandbox.aws.disks import performance
from sandbox.cluster.volumes import Refused
from tests.component.aws_volumes import CHECKPOINTS, DATASETS, buckets_of, lustre, named, statements, storage


class TestBlockVolumes:
    def test_fast_volumes_are_encrypted_gp3_and_the_default_class_waits_for_the_pod(self) -> None:
        """seed row S11: EBS for one pod; EKS has no default class, so the stack creates one."""
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
    def test_a_claim_of_any_size_can_be_provisioned(self, size: int) -> None:
        """field case A14: the driver's calculation gives values that EC2 accepts; a fixed 16,000 IOPS requires 8
        GiB."""
        for found in storage().all("StorageClass"):
            if found.inputs["provisioner"] == "ebs.csi.aws.com":
                wanted = {key: int(found.inputs["parameters"].get(key, 0)) for key in ("iops", "throughput")}
                assert performance("gp3", size, **wanted)["Iops"] >= 3000
        with pytest.raises(Refused):
            performance("gp3", min(size, 7), 16000, 1000)

    def test_volumes_and_snapshots_of_claims_have_the_callers_tags(self) -> None:
        """field case A8: the provider's default tags do not apply to volumes that the driver creates."""
        (addon,) = [found for found in storage(tags={"team": "ml"}).all("Addon") if "ebs" in found.name]
        assert json.loads(addon.inputs["configurationValues"]) == {"controller": {"extraVolumeTags": {"team": "ml"}}}
        (addon,) = [found for found in storage().all("Addon") if "ebs" in found.name]
        assert "configurationValues" not in addon.inputs

    def test_snapshots_have_one_default_class_that_retains_them(self) -> None:
        found = storage().one("VolumeSnapshotClass")
        assert found.inputs["driver"] == "ebs.csi.aws.com"
        assert found.inputs["deletionPolicy"] == "Retain"
        assert found.inputs["metadata"] == {
            "name": "block",
            "annotations": {"snapshot.storage.kubernetes.io/is-default-class": "true"},
        }
        assert {"driver", "deletionPolicy"} <= set(found.options["replaceOnChanges"])

    def test_the_snapshot_class_and_the_driver_depend_on_the_snapshot_kinds(self) -> None:
        """The add-on installs the kinds; without them, the driver starts without its sidecar."""
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

    def test_each_shared_volume_has_a_different_user_id(self) -> None:
        parameters = named(storage(), "StorageClass", "shared")["parameters"]
        assert int(parameters["gidRangeEnd"]) - int(parameters["gidRangeStart"]) + 1 == 10_000

    def test_only_nodes_can_mount_the_shared_file_system_in_each_zone(self) -> None:
        made = storage()
        targets = made.all("MountTarget")
        assert {found.inputs["subnetId"] for found in targets} == {"subnet-1", "subnet-2"}
        rule = made.one("SecurityGroupIngressRule")
        assert rule.inputs["referencedSecurityGroupId"] == "sg-nodes"
        assert (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["ipProtocol"]) == (2049, 2049, "tcp")
        assert all(found.inputs["securityGroups"] == [made.one("SecurityGroup").id] for found in targets)

    def test_clients_must_use_tls_and_a_mount_target_and_cannot_be_root(self) -> None:
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

    def test_the_root_of_the_shared_file_system_cannot_be_mounted(self) -> None:
        """security case H5: there, a pod could read all volumes with any user id."""
        policy = statements(storage().one("aws:efs/fileSystemPolicy:FileSystemPolicy").inputs["policy"])
        root = policy["OnlyByAccessPoint"]
        assert root["Effect"] == "Deny" and root["Principal"] == {"AWS": "*"}
        assert set(root["Action"]) >= {"elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"}
        assert root["Condition"] == {"Null": {"elasticfilesystem:AccessPointArn": "true"}}

    def test_backups_are_an_option(self) -> None:
        assert storage().all("BackupPolicy") == []
        made = storage(backups=True)
        found = made.one("aws:efs/backupPolicy:BackupPolicy").inputs
        assert found["backupPolicy"] == {"status": "ENABLED"}
        assert found["fileSystemId"] == made.one("aws:efs/fileSystem:FileSystem").id

    def test_a_class_is_deleted_before_its_driver_mount_targets_and_policy(self) -> None:
        made = storage()
        shared = made.one("StorageClass", "storage-shared")
        driver = made.one("aws:eks/addon:Addon", "storage-efs-csi")
        for needed in (*made.all("MountTarget"), made.one("FileSystemPolicy"), driver):
            assert made.must_outlive(needed, shared), needed

    def test_the_drivers_get_their_permissions_by_pod_identity(self) -> None:
        made = storage()
        accounts = {"storage-ebs-csi": "ebs-csi-controller-sa", "storage-efs-csi": "efs-csi-controller-sa"}
        for addon, account in accounts.items():
            identity = made.one("aws:eks/addon:Addon", addon).inputs["podIdentityAssociations"][0]
            role = next(found for found in made.all("Role") if found.outputs["arn"] == identity["roleArn"])
            assert identity["serviceAccount"] == account
            assert f'"{account}"' in role.inputs["assumeRolePolicy"]


@pytest.fixture(scope="module")
def made() -> Recording:
    """The stack dev with all storage options and deletion protection."""
    config = {**copy.deepcopy(settings("dev")), "gpuyard:deletionProtection": True}
    config["gpuyard:storage"] = {
        "backups": True,
        "lustre": {"zone": "us-east-1a", "sizeGib": 2400, "s3": "s3://acme-datasets/train"},
        "buckets": {"datasets": DATASETS, "runs": CHECKPOINTS},
    }
    return record(config, "dev")


class TestTheWholeEnvironment:
    def inside(self, made: Recording) -> list[Resource]:
        """The resources of the storage components."""
        kinds = ("gpuyard:index:AwsStorage", "gpuyard:index:FsxLustre", "gpuyard:index:S3Buckets")
        return [child for kind in kinds for child in made.children(made.one(kind)) if child.custom]

    def test_storage_is_deleted_before_the_cluster_and_the_nodes_of_the_drivers(self, made: Recording) -> None:
        cluster, cpu = made.one("aws:eks/cluster:Cluster"), made.one("NodeGroup", "cpu-workers-us-east-1a")
        assert len(self.inside(made)) >= 40
        for found in self.inside(made):
            if found.package == "kubernetes" or found.type == "aws:eks/addon:Addon":
                assert made.must_outlive(cluster, found), found
                assert made.must_outlive(cpu, found), found

    def test_every_resource_has_the_providers_of_the_stack(self, made: Recording) -> None:
        assert [str(found) for found in self.inside(made) if found.package and not found.provider] == []

    def test_no_policy_allows_writes_to_unnamed_resources(self, made: Recording) -> None:
        """seed row S04: and the linter accepts them."""
        for found in made.all("RolePolicy"):
            text = found.inputs["policy"]
            assert [str(finding) for finding in analyze_policy_string(text).findings] == [], found
            if "storage" in found.name or "lustre" in found.name or "buckets" in found.name:
                for statement in json.loads(text)["Statement"]:
                    reads = all(a.split(":")[1].startswith(("Get", "List", "Describe")) for a in statement["Action"])
                    assert reads or not statement["Resource"].startswith(("*", "arn:aws:s3:::*")), found

    def test_file_systems_are_protected_and_volumes_are_retained(self, made: Recording) -> None:
        protected = {found.type for found in self.inside(made) if found.options.get("protect")}
        assert protected == {"aws:efs/fileSystem:FileSystem", "aws:fsx/lustreFileSystem:LustreFileSystem"}
        for volume in made.all("PersistentVolume"):
            assert volume.inputs["spec"]["persistentVolumeReclaimPolicy"] == "Retain"

    def test_the_stack_exports_its_storage_classes(self, made: Recording) -> None:
        assert made.exports["storageClasses"] == ["block", "block-fast", "shared"]

    def test_the_settings_of_the_file_reach_the_file_systems(self, made: Recording) -> None:
        system = made.one("LustreFileSystem").inputs
        assert (system["storageCapacity"], system["perUnitStorageThroughput"]) == (2400, 125)
        assert made.one("BackupPolicy").inputs["backupPolicy"] == {"status": "ENABLED"}
        assert {found.inputs["metadata"]["name"] for found in made.all("PersistentVolume")} == {
            *("lustre", "datasets", "runs")
        }


@pytest.mark.parametrize(
    ("args", "path", "words"),
    [
        ({"subnet_ids": {}}, "subnet_ids", "pass `subnet_ids` of the network"),
        ({"kubernetes_version": "v1.35"}, "kubernetes_version", "such as 1.35"),
        ({"addon_versions": {"coredns": "v1.13.2-eksbuild.31"}}, "addon_versions.coredns", "not an add-on that is"),
        ({"addon_versions": {"OWN": "3.4"}}, "addon_versions.OWN", "vX.Y.Z-eksbuild.N"),
        ({"roles": {"vpc_cni": "arn:aws:iam::123456789012:role/a"}}, "roles.vpc_cni", "nothing here uses this role"),
        ({"roles": {"OWN": "ebs-csi"}}, "roles.OWN", "arn:aws:iam::ACCOUNT:role/NAME"),
        ({"tags": {"eks:x": "y"}}, "tags.eks:x", "recognize a cluster's resources"),
    ],
)
@pytest.mark.parametrize("component", [storage, lustre, buckets_of])
def test_arguments_common_to_components_with_a_driver_are_checked(
    component: Callable[..., Recording], args: dict[str, Any], path: str, words: str
) -> None:
    if path == "subnet_ids" and component is not storage:
        pytest.skip("the others mount elsewhere")
    addon = {storage: "aws-efs-csi-driver", lustre: "aws-fsx-csi-driver"}.get(component, "aws-mountpoint-s3-csi-driver")
    own = drivers.ROLES[addon] if path == "roles.OWN" else addon
    path = path.replace("OWN", own)
    args = {
        key: {own if k == "OWN" else k: v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in args.items()
    }
    with pytest.raises(pulumi.RunError) as caught:
        component(**args)
    text = str(caught.value)
    assert f"  {path} = " in text and words in text and "one value" in text, text
