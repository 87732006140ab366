"""The library on AWS: what each component asks the SDK for."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pulumi
import pytest

from components.aws.cluster import EksCluster
from components.aws.identity import PodIdentity
from components.aws.network import AwsNetwork
from components.aws.node_pool import EksNodePool
from components.aws.storage import AwsStorage
from components.pools import NodePoolSpec
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options, pool
from tests.recorder import run
from tests.recording import Recording


def network(**args: Any) -> Recording:
    """A recorded AwsNetwork called `net`."""
    defaults = {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": "train"}
    return run(lambda: AwsNetwork("net", {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def cluster(**args: Any) -> Recording:
    """A recorded EksCluster called `c` with the physical name `train`; its outputs are exported."""

    def program() -> None:
        defaults = {
            "cluster_name": "train",
            "version": "1.35",
            "network_id": "vpc-1",
            "private_subnet_ids": ["subnet-1", "subnet-2"],
            "public_subnet_ids": ["subnet-3", "subnet-4"],
        }
        made = EksCluster("c", {**defaults, **args}, aws_options())  # type: ignore[typeddict-item]
        for key in ("cluster_name", "kubeconfig", "connect_command", "security_group_id"):
            pulumi.export(key, getattr(made, key))

    return run(program)


def node_pool(spec: NodePoolSpec, name: str = "gpu-workers", **args: Any) -> Recording:
    """A recorded EksNodePool."""
    defaults = {
        "pool": spec,
        "zones": AWS_ZONES,
        "subnet_ids": ["subnet-1", "subnet-2"],
        "cluster_name": "train",
        "cluster": "train",
        "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
    }
    return run(lambda: EksNodePool(name, {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def storage(**args: Any) -> Recording:
    """A recorded AwsStorage called `storage`."""
    defaults = {
        "cluster": "train",
        "cluster_name": "train",
        "kubernetes_version": "1.35",
        "network_id": "vpc-1",
        "zones": AWS_ZONES,
        "subnet_ids": ["subnet-1", "subnet-2"],
        "security_group_id": "sg-1",
    }
    return run(lambda: AwsStorage("storage", {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def autoscaler_tags(recording: Recording) -> dict[str, str]:
    """The tags that the pool puts on its Auto Scaling group."""
    return {
        found.inputs["tag"]["key"]: found.inputs["tag"]["value"] for found in recording.all("aws:autoscaling/tag:Tag")
    }


class TestNetwork:
    def test_each_zone_has_a_private_and_a_public_subnet_that_do_not_overlap(self) -> None:
        subnets = network().all("Subnet")
        assert {found.name for found in subnets} == {
            f"net-{kind}-{zone}" for kind in ("private", "public") for zone in AWS_ZONES
        }
        blocks = [ipaddress.IPv4Network(found.inputs["cidrBlock"]) for found in subnets]
        assert not any(one.overlaps(other) for i, one in enumerate(blocks) for other in blocks[:i])
        assert all(block.subnet_of(ipaddress.IPv4Network("10.0.0.0/16")) for block in blocks)

    def test_adding_a_zone_moves_no_other_subnet(self) -> None:
        def blocks(zones: list[str]) -> dict[str, str]:
            return {found.name: found.inputs["cidrBlock"] for found in network(zones=zones).all("Subnet")}

        few, many = blocks(AWS_ZONES), blocks(["us-east-1f", *AWS_ZONES])
        assert few.items() <= many.items()

    def test_load_balancers_find_their_subnets_by_tag(self) -> None:
        made = network()
        assert made.one("Subnet", "net-public-us-east-1a").inputs["tags"]["kubernetes.io/role/elb"] == "1"
        private = made.one("Subnet", "net-private-us-east-1a").inputs["tags"]
        assert private["kubernetes.io/role/internal-elb"] == "1"
        assert private["kubernetes.io/cluster/train"] == "shared"

    @pytest.mark.parametrize(("mode", "gateways"), [("none", 0), ("single", 1), ("per_zone", 2)])
    def test_the_nat_mode_sets_the_number_of_gateways(self, mode: str, gateways: int) -> None:
        made = network(nat=mode)
        assert len(made.all("NatGateway")) == gateways
        routes = [found for found in made.all("Route") if "natGatewayId" in found.inputs]
        assert len(routes) == (2 if gateways else 0)

    def test_nodes_that_depend_on_the_network_go_before_its_way_to_the_internet(self) -> None:
        """seed row S01: nodes are never without a route, neither first nor last."""

        def program() -> None:
            options = aws_options()
            net = AwsNetwork("net", {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": "train"}, options)
            args = {
                "pool": GUIDE_CPU,
                "zones": AWS_ZONES,
                "subnet_ids": net.private_subnet_ids,
                "cluster_name": "train",
                "cluster": "train",
                "node_role_arn": "arn:aws:iam::1:role/n",
            }
            after = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[net]))
            EksNodePool("cpu-workers", args, after)  # type: ignore[arg-type]

        made = run(program)
        group = made.one("NodeGroup")
        for kind in ("NatGateway", "Route", "RouteTableAssociation", "InternetGateway"):
            for found in made.all(kind):
                if "private" in found.name or kind in ("NatGateway", "InternetGateway"):
                    assert made.must_outlive(found, group), found

    def test_the_default_security_group_has_no_rule(self) -> None:
        group = network().one("DefaultSecurityGroup")
        assert group.inputs["ingress"] == [] and group.inputs["egress"] == []


class TestCluster:
    def test_the_cluster_takes_access_entries_encrypts_secrets_and_is_private_by_default(self) -> None:
        """seed row S01: an EKS cluster from a component."""
        inputs = cluster().one("aws:eks/cluster:Cluster").inputs
        assert inputs["name"] == "train" and inputs["version"] == "1.35"
        assert inputs["accessConfig"]["authenticationMode"] == "API"
        assert inputs["encryptionConfig"]["resources"] == ["secrets"]
        assert inputs["vpcConfig"]["endpointPrivateAccess"] is True
        assert inputs["vpcConfig"]["endpointPublicAccess"] is False
        assert set(inputs["vpcConfig"]["subnetIds"]) == {"subnet-1", "subnet-2", "subnet-3", "subnet-4"}

    def test_the_endpoint_is_public_for_the_named_networks_only(self) -> None:
        config = cluster(public_access_cidrs=["203.0.113.0/24"]).one("aws:eks/cluster:Cluster").inputs["vpcConfig"]
        assert config["endpointPublicAccess"] is True and config["publicAccessCidrs"] == ["203.0.113.0/24"]

    def test_deletion_protection_is_both_the_clouds_and_the_engines(self) -> None:
        made = cluster()
        assert made.one("aws:eks/cluster:Cluster").inputs["deletionProtection"] is True
        assert made.one("eks:index:Cluster").options["protect"] is True
        assert cluster(deletion_protection=False).one("aws:eks/cluster:Cluster").inputs["deletionProtection"] is False

    def test_access_by_name_becomes_entries_with_the_level_as_policy(self) -> None:
        access = {"ops": {"principal_arn": "arn:aws:iam::123456789012:role/ops", "level": "admin"}}
        association = cluster(access=access).one("AccessPolicyAssociation")
        assert association.inputs["policyArn"].endswith("AmazonEKSClusterAdminPolicy")
        assert association.inputs["principalArn"] == access["ops"]["principal_arn"]

    def test_the_kubeconfig_is_a_secret(self) -> None:
        made = cluster()
        assert "kubeconfig" in made.secret_exports
        assert made.exports["connect_command"] == "aws eks update-kubeconfig --region us-east-1 --name train"

    def test_whoever_depends_on_the_cluster_waits_for_the_add_ons_without_which_no_node_gets_ready(self) -> None:
        def program() -> None:
            options = aws_options()
            args = {
                "cluster_name": "train",
                "version": "1.35",
                "network_id": "vpc-1",
                "private_subnet_ids": ["subnet-1"],
                "public_subnet_ids": [],
            }
            made = EksCluster("c", args, options)  # type: ignore[arg-type]
            identity = {
                "cluster_name": "train",
                "cluster": made.cluster_name,
                "namespace": "n",
                "service_account": "s",
            }
            after = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[made]))
            PodIdentity("user", identity, after)  # type: ignore[arg-type]

        made = run(program)
        user = made.one("PodIdentityAssociation", "user-association")
        needed = {found.inputs["addonName"]: found for found in made.all("aws:eks/addon:Addon")}
        for addon in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
            assert made.must_outlive(needed[addon], user), addon

    def test_nodes_may_register_and_pull_images_and_nothing_else(self) -> None:
        made = cluster()
        role = made.one("Role", "c-nodes")
        policies = {
            found.inputs["policyArn"] for found in made.all("RolePolicyAttachment") if found.inputs["role"] == role.id
        }
        assert policies == {
            "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
            "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
        }


class TestNodePool:
    def test_cpu_workers_have_the_guides_machine_and_size(self) -> None:
        """seed row S02: m5.2xlarge, 2..20, named cpu-workers, and the autoscaler owns the size from then on."""
        group = node_pool(GUIDE_CPU, "cpu-workers").one("NodeGroup", "cpu-workers")
        assert group.inputs["instanceTypes"] == ["m5.2xlarge"]
        assert group.inputs["scalingConfig"] == {"minSize": 2, "maxSize": 20, "desiredSize": 2}
        assert group.inputs["nodeGroupNamePrefix"] == "cpu-workers-"
        assert group.options["ignoreChanges"] == ["scalingConfig.desiredSize"]
        assert "taints" not in group.inputs or group.inputs["taints"] == []

    def test_gpu_workers_scale_from_zero_to_ten_with_the_guides_label(self) -> None:
        """seed row S03: 0..10, label workload=gpu-training, an image with the driver in it."""
        group = node_pool(GUIDE_GPU).one("NodeGroup", "gpu-workers")
        assert group.inputs["scalingConfig"] == {"minSize": 0, "maxSize": 10, "desiredSize": 0}
        assert group.inputs["labels"]["workload"] == "gpu-training"
        assert group.inputs["amiType"] == "AL2023_x86_64_NVIDIA"

    def test_gpu_nodes_say_that_a_gpu_is_still_to_come(self) -> None:
        """seed row S03: without the accelerator label the autoscaler orders a second node while the plugin starts."""
        labels = node_pool(GUIDE_GPU).one("NodeGroup").inputs["labels"]
        assert labels["k8s.amazonaws.com/accelerator"].startswith("nvidia-")
        assert labels["nvidia.com/gpu.present"] == "true"
        assert "k8s.amazonaws.com/accelerator" not in node_pool(GUIDE_CPU).one("NodeGroup").inputs["labels"]

    def test_the_guides_literal_gpu_type_builds_once_it_is_accepted_as_withdrawn(self) -> None:
        """seed row S03: p3.2xlarge, which EC2 no longer describes, still builds to the letter."""
        spec = pool(GUIDE_GPU, machine_types=["p3.2xlarge"], accept_withdrawn=True)
        assert node_pool(spec).one("NodeGroup").inputs["instanceTypes"] == ["p3.2xlarge"]
        with pytest.raises(pulumi.RunError, match="withdrawn"):
            node_pool(pool(GUIDE_GPU, machine_types=["p3.2xlarge"]))

    def test_gpu_nodes_bear_the_guides_taint_and_cpu_nodes_bear_none(self) -> None:
        """seed row S07: nvidia.com/gpu=true:NoSchedule."""
        taints = node_pool(GUIDE_GPU).one("NodeGroup").inputs["taints"]
        assert taints == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]

    def test_the_scaling_group_tells_the_autoscaler_what_an_empty_group_would_give(self) -> None:
        """seed row S04: from zero, by labels, taints and storage in the group's tags."""
        made = node_pool(GUIDE_GPU)
        tags = autoscaler_tags(made)
        template = "k8s.io/cluster-autoscaler/node-template"
        assert tags["k8s.io/cluster-autoscaler/enabled"] == "true"
        assert tags["k8s.io/cluster-autoscaler/train"] == "owned"
        assert tags[f"{template}/label/workload"] == "gpu-training"
        assert tags[f"{template}/taint/nvidia.com/gpu"] == "true:NoSchedule"
        asg = made.one("NodeGroup").outputs["resources"][0]["autoscalingGroups"][0]["name"]
        assert {found.inputs["autoscalingGroupName"] for found in made.all("aws:autoscaling/tag:Tag")} == {asg}

    def test_every_label_and_taint_of_the_group_is_among_the_autoscalers_tags(self) -> None:
        """seed row S04: nothing is typed twice, so nothing is forgotten once."""
        extra = {"key": "team", "value": "vision", "effect": "NoExecute"}
        made = node_pool(pool(GUIDE_GPU, labels={"workload": "gpu-training", "tier": "gold"}, taints=[extra]))
        group, tags = made.one("NodeGroup"), autoscaler_tags(made)
        template = "k8s.io/cluster-autoscaler/node-template"
        assert {f"{template}/label/{k}": v for k, v in group.inputs["labels"].items()}.items() <= tags.items()
        effects = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute"}
        for taint in group.inputs["taints"]:
            assert tags[f"{template}/taint/{taint['key']}"] == f"{taint['value']}:{effects[taint['effect']]}"

    def test_a_node_really_holds_the_guides_ephemeral_storage(self) -> None:
        """seed row S10: request 50Gi and limit 100Gi fit on the disk that the template asks for."""
        made = node_pool(GUIDE_GPU)
        disk = made.one("LaunchTemplate").inputs["blockDeviceMappings"][0]["ebs"]
        promised = autoscaler_tags(made)["k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage"]
        assert promised.endswith("Gi") and 100 <= int(promised[:-2]) < disk["volumeSize"]
        assert disk["encrypted"] == "true"

    def test_the_template_shows_no_instance_credentials_to_pods(self) -> None:
        options = node_pool(GUIDE_CPU).one("LaunchTemplate").inputs["metadataOptions"]
        assert options["httpTokens"] == "required" and options["httpPutResponseHopLimit"] == 1

    def test_machines_bear_the_pools_name(self) -> None:
        specifications = node_pool(GUIDE_GPU).one("LaunchTemplate").inputs["tagSpecifications"]
        by_kind = {found["resourceType"]: found["tags"] for found in specifications}
        assert by_kind["instance"]["gpuyard.dev/pool"] == "gpu-workers"
        assert {"instance", "volume"} <= set(by_kind)

    def test_a_change_of_the_template_is_rolled_out_by_its_version(self) -> None:
        made = node_pool(GUIDE_GPU)
        group, template = made.one("NodeGroup"), made.one("LaunchTemplate")
        assert group.inputs["launchTemplate"] == {"id": template.id, "version": "1"}

    def test_a_ladder_makes_a_group_for_each_rung_and_the_last_one_holds_the_minimum(self) -> None:
        made = node_pool(pool(GUIDE_GPU, capacity=["spot", "on_demand"], min=1))
        sizes = {
            found.inputs["capacityType"]: (
                found.inputs["scalingConfig"]["minSize"],
                found.inputs["scalingConfig"]["maxSize"],
            )
            for found in made.all("NodeGroup")
        }
        assert sizes == {"SPOT": (0, 10), "ON_DEMAND": (1, 10)}

    def test_a_pool_in_one_zone_uses_that_zones_subnet(self) -> None:
        made = node_pool(pool(GUIDE_GPU, zones=["us-east-1b"]))
        assert made.one("NodeGroup").inputs["subnetIds"] == ["subnet-2"]


class TestStorage:
    def test_fast_volumes_are_encrypted_gp3_and_the_default_class_waits_for_the_pod(self) -> None:
        """seed row S11: EBS for one pod; EKS has no default class, so there is exactly one here."""
        made = storage()
        classes = {found.inputs["metadata"]["name"]: found.inputs for found in made.all("StorageClass")}
        for name in ("block", "block-fast"):
            assert classes[name]["provisioner"] == "ebs.csi.aws.com"
            assert classes[name]["parameters"]["type"] == "gp3"
            assert classes[name]["parameters"]["encrypted"] == "true"
            assert classes[name]["volumeBindingMode"] == "WaitForFirstConsumer"
        default = "storageclass.kubernetes.io/is-default-class"
        assert [name for name, found in classes.items() if default in (found["metadata"].get("annotations") or {})] == [
            "block"
        ]
        assert int(classes["block-fast"]["parameters"]["iops"]) > 3000
        assert all(isinstance(value, str) for found in classes.values() for value in found["parameters"].values())

    def test_shared_volumes_are_access_points_of_one_encrypted_file_system_and_survive_their_claims(self) -> None:
        """seed row S11: EFS for data sets and checkpoints that many pods share."""
        made = storage()
        system = made.one("aws:efs/fileSystem:FileSystem")
        shared = next(f for f in made.all("StorageClass") if f.inputs["metadata"]["name"] == "shared")
        assert shared.inputs["provisioner"] == "efs.csi.aws.com"
        assert shared.inputs["parameters"]["provisioningMode"] == "efs-ap"
        assert shared.inputs["parameters"]["fileSystemId"] == system.id
        assert shared.inputs["parameters"]["directoryPerms"]
        assert shared.inputs["reclaimPolicy"] == "Retain"
        assert system.inputs["encrypted"] is True and system.options["protect"] is True

    def test_each_zone_can_mount_the_shared_file_system_from_the_nodes_alone(self) -> None:
        made = storage()
        targets = made.all("MountTarget")
        assert {found.inputs["subnetId"] for found in targets} == {"subnet-1", "subnet-2"}
        rule = made.one("SecurityGroupIngressRule")
        assert rule.inputs["referencedSecurityGroupId"] == "sg-1"
        assert (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["ipProtocol"]) == (2049, 2049, "tcp")
        assert all(found.inputs["securityGroups"] == [made.one("SecurityGroup").id] for found in targets)

    def test_a_class_is_gone_before_its_driver_and_the_file_systems_mount_targets(self) -> None:
        made = storage()
        shared = made.one("StorageClass", "storage-shared")
        for needed in (*made.all("MountTarget"), made.one("aws:eks/addon:Addon", "storage-efs-csi")):
            assert made.must_outlive(needed, shared), needed

    def test_the_drivers_get_their_rights_by_pod_identity(self) -> None:
        made = storage()
        for addon in made.all("aws:eks/addon:Addon"):
            identity = addon.inputs["podIdentityAssociations"][0]
            role = next(found for found in made.all("Role") if found.outputs["arn"] == identity["roleArn"])
            assert identity["serviceAccount"] in json.dumps(json.loads(role.inputs["assumeRolePolicy"]))
