"""FSx for Lustre."""

from __future__ import annotations

import json
import re
from typing import Any

import pulumi
import pytest

from components import arguments
from components.aws import lustre as aws_lustre
from tests.component.aws_volumes import CLUSTER, PLACE, lustre, named


def filled(**args: Any) -> aws_lustre.FsxLustreArgs:
    """Arguments with the declared defaults, as the component's checks get them."""
    return arguments.cleaned(aws_lustre.FsxLustreArgs, {**CLUSTER, **PLACE, "zone": "us-east-1a", **args})


class TestLustre:
    def test_the_file_system_is_a_persistent_one_on_ssd_in_the_subnet_of_its_zone(self) -> None:
        inputs = lustre(size_gib=4800, throughput=500).one("LustreFileSystem").inputs
        assert (inputs["deploymentType"], inputs["storageType"]) == ("PERSISTENT_2", "SSD")
        assert (inputs["storageCapacity"], inputs["perUnitStorageThroughput"]) == (4800, 500)
        assert inputs["subnetIds"] == "subnet-2"
        assert inputs["fileSystemTypeVersion"] == "2.15"

    def test_floats_from_other_languages_become_integers(self) -> None:
        made = lustre(size_gib=2400.0, throughput=250.0)
        assert named(made, "PersistentVolume", "lustre")["spec"]["capacity"] == {"storage": "2400Gi"}
        assert made.one("LustreFileSystem").inputs["storageCapacity"] == 2400

    def test_lustres_ports_are_open_only_to_nodes_and_between_servers(self) -> None:
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

    def test_the_file_system_depends_on_the_security_group_rules(self) -> None:
        made = lustre()
        for rule in (*made.all("SecurityGroupIngressRule"), *made.all("SecurityGroupEgressRule")):
            assert made.must_outlive(rule, made.one("LustreFileSystem")), rule

    def test_the_volume_is_the_whole_file_system_and_outlives_its_claim(self) -> None:
        """seed row S11: one PersistentVolume, ReadWriteMany, Retain, with the file system's addresses."""
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

    def test_the_volume_is_deleted_before_its_file_system_link_and_driver(self) -> None:
        made = lustre(s3="s3://acme-datasets/train/")
        volume = made.one("PersistentVolume")
        driver = made.one("aws:eks/addon:Addon")
        assert driver.inputs["addonName"] == "aws-fsx-csi-driver"
        for needed in (driver, made.one("LustreFileSystem"), made.one("DataRepositoryAssociation")):
            assert made.must_outlive(needed, volume), needed

    def test_export_to_a_bucket_is_an_option(self) -> None:
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
    def test_backup_retention_and_final_backup_follow_the_settings(
        self, args: dict[str, Any], days: int, skip: bool
    ) -> None:
        inputs = lustre(**args).one("LustreFileSystem").inputs
        assert (inputs["automaticBackupRetentionDays"], inputs["skipFinalBackup"]) == (days, skip)

    def test_deletion_protection_keeps_the_file_system(self) -> None:
        assert lustre().one("LustreFileSystem").options["protect"] is True
        assert not lustre(deletion_protection=False).one("LustreFileSystem").options.get("protect")

    def test_the_driver_has_read_only_permissions(self) -> None:
        """The driver does not provision, so it cannot create or delete a file system."""
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
            ({"s3": "s3://Acme"}, "s3", ["'Acme' is not a valid bucket name"]),
            ({"s3": "s3://acme/a//b"}, "s3", ["'a//b' is not a prefix of object names"]),
            ({"s3": f"s3://acme/{'a' * 900}"}, "s3", ["shorten the prefix"]),
            ({"s3": "s3://acme", "exports": ["NEW"]}, "exports[0]", ["write new"]),
            ({"s3": "s3://acme", "exports": ["new", "new"]}, "exports[1]", ["named twice"]),
            ({"exports": ["new"]}, "exports", ["no bucket to export to"]),
            ({"namespace": "Team"}, "namespace", ["kubectl get namespaces"]),
        ],
    )
    def test_a_wrong_argument_is_refused_with_its_path(self, args: Any, path: str, words: list[str]) -> None:
        found = list(aws_lustre.problems(filled(**args)))
        assert [problem.path for problem in found] == [path]
        assert all(word in str(found[0]) for word in words), str(found[0])
        with pytest.raises(pulumi.RunError, match=rf"FsxLustre lustre: one value(.|\n)*{re.escape(path)} = "):
            lustre(**args)

    @pytest.mark.parametrize("size", [1200, 2400, 4800, 100_800])
    def test_the_sizes_that_fsx_supports_are_accepted(self, size: int) -> None:
        assert list(aws_lustre.problems(filled(size_gib=size, s3="s3://acme.data/a/b=1/"))) == []
