"""The parts of pulumi-eks' cluster that nodes need: security groups and rules, the default node group, storage classes.

The default node group is self-managed: a launch template and an Auto Scaling group (pulumi-eks' NodeGroupV2). Its user
data is the cloud-init of an AL2023 node; the sandbox does not boot machines from it.
Source of facts: pulumi-eks 4.4.0, nodejs/eks/nodes and cluster/storageclass (August 2026).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
import yaml
from pulumi import ComponentResource, InvokeOutputOptions, Output, ResourceOptions

_SINGULAR = {
    # argument of the cluster → option of its node group, where the names differ
    "nodeAmiId": "amiId",
}
_OPTIONS = (
    "nodeSubnetIds",
    "nodeAssociatePublicIpAddress",
    "instanceType",
    "nodePublicKey",
    "nodeRootVolumeEncrypted",
    "nodeRootVolumeSize",
    "nodeUserData",
    "minSize",
    "maxSize",
    "desiredCapacity",
    "nodeAmiId",
    "gpu",
    "version",
)
_ROOT_VOLUME = {
    "nodeRootVolumeEncrypted": "encrypted",
    "nodeRootVolumeSize": "volume_size",
    "nodeRootVolumeType": "volume_type",
    "nodeRootVolumeIops": "iops",
    "nodeRootVolumeThroughput": "throughput",
    "nodeRootVolumeDeleteOnTermination": "delete_on_termination",
}


class ClusterParts(ComponentResource):
    """The parts of the cluster that the default node group uses; `eks_cluster.Cluster` sets all of them."""

    label: str
    """The component's name, the prefix of its children's names."""
    args: Mapping[str, Any]
    child: ResourceOptions
    """Resource options for a child."""
    vpc_id: Any
    subnet_ids: Any
    cluster: aws.eks.Cluster
    node_security_group: Any
    ingress_rule: Any
    """The rule that lets nodes reach the API server, if there is one."""
    instance_profile: Any
    cni: Any
    node_access: Any
    """The resources that give the nodes' role access to the cluster, if any."""


def rule(
    name: str, group_id: Any, opts: ResourceOptions, ports: tuple[int, int] = (0, 0), protocol: str = "-1", **extra: Any
) -> aws.ec2.SecurityGroupRule:
    """One rule of a security group; by default all ports of all protocols."""
    return aws.ec2.SecurityGroupRule(
        name,
        security_group_id=group_id,
        from_port=ports[0],
        to_port=ports[1],
        protocol=protocol,
        opts=opts,
        **extra,
    )


def security_group(
    label: str, vpc_id: Any, cluster_group_id: Any, cluster: aws.eks.Cluster, tags: Any, opts: ResourceOptions
) -> tuple[aws.ec2.SecurityGroup, aws.ec2.SecurityGroupRule]:
    """The nodes' security group with its rules, and the rule that lets pods reach the API server."""
    name = f"{label}-nodeSecurityGroup"
    group = aws.ec2.SecurityGroup(
        name,
        vpc_id=vpc_id,
        revoke_rules_on_delete=True,
        tags=Output.all(tags, cluster.name).apply(
            lambda known: {"Name": name, f"kubernetes.io/cluster/{known[1]}": "owned", **(known[0] or {})}
        ),
        opts=opts,
    )
    rule(
        f"{label}-eksNodeIngressRule",
        group.id,
        opts,
        type="ingress",
        description="Allow nodes to communicate with each other",
        self=True,
    )
    for key, ports, description in (
        (
            "eksNodeClusterIngressRule",
            (1025, 65535),
            "Allow worker Kubelets and pods to receive communication from the cluster control plane",
        ),
        (
            "eksExtApiServerClusterIngressRule",
            (443, 443),
            "Allow pods running extension API servers on port 443 to receive communication from cluster control plane",
        ),
    ):
        rule(
            f"{label}-{key}",
            group.id,
            opts,
            ports,
            "tcp",
            type="ingress",
            description=description,
            source_security_group_id=cluster_group_id,
        )
    rule(
        f"{label}-eksNodeInternetEgressRule",
        group.id,
        opts,
        type="egress",
        description="Allow internet access.",
        cidr_blocks=["0.0.0.0/0"],
    )
    ingress = rule(
        f"{label}-eksClusterIngressRule",
        cluster_group_id,
        opts,
        (443, 443),
        "tcp",
        type="ingress",
        description="Allow pods to communicate with the cluster API Server",
        source_security_group_id=group.id,
    )
    return group, ingress


def control_plane_group(label: str, vpc_id: Any, tags: Output[dict[str, str]], opts: ResourceOptions) -> Any:
    """The security group of the control plane, which may reach every address."""
    name = f"{label}-eksClusterSecurityGroup"
    group = aws.ec2.SecurityGroup(
        name,
        vpc_id=vpc_id,
        revoke_rules_on_delete=True,
        tags=tags.apply(lambda known: {"Name": name, **known}),
        opts=opts,
    )
    rule(
        f"{label}-eksClusterInternetEgressRule",
        group.id,
        opts,
        type="egress",
        description="Allow internet access.",
        cidr_blocks=["0.0.0.0/0"],
    )
    return group


def options(args: Mapping[str, Any]) -> dict[str, Any]:
    """The cluster's arguments for the default node group, under the names of `nodeGroupOptions`."""
    if args.get("nodeGroupOptions"):
        return dict(args["nodeGroupOptions"])
    return {_SINGULAR.get(name, name): args[name] for name in _OPTIONS if args.get(name) is not None}


def default_group(component: ClusterParts) -> dict[str, Any]:
    """Creates the default node group; returns the fields of the SDK's NodeGroupData."""
    label, cluster, child = component.label, component.cluster, component.child
    group = options(component.args)
    nodes_group = group.get("nodeSecurityGroup") or component.node_security_group
    ingress = component.ingress_rule
    if not nodes_group:
        own = cluster.vpc_config.cluster_security_group_id
        tags = component.args.get("nodeSecurityGroupTags")
        nodes_group, ingress = security_group(label, component.vpc_id, own, cluster, tags, child)
    extra = group.get("extraNodeSecurityGroups") or []
    ids = Output.all(nodes_group, *extra).apply(lambda known: Output.all(*[member.id for member in known]))
    key_name = group.get("keyName")
    if group.get("nodePublicKey"):
        key_name = aws.ec2.KeyPair(f"{label}-keyPair", public_key=group["nodePublicKey"], opts=child).key_name
    root: Any = {argument: group[option] for option, argument in _ROOT_VOLUME.items() if group.get(option) is not None}
    spot: Any = {"max_price": group["spotPrice"]} if group.get("spotPrice") else None
    market: Any = {"market_type": "spot", "spot_options": spot} if spot else None
    disks: Any = [{"device_name": "/dev/xvda", "ebs": root}] if root else None
    public = group.get("nodeAssociatePublicIpAddress")
    template = aws.ec2.LaunchTemplate(
        f"{label}-launchTemplate",
        image_id=group.get("amiId") or _recommended_image(component, group),
        instance_type=group.get("instanceType") or "t3.medium",
        iam_instance_profile={"name": group.get("instanceProfileName") or component.instance_profile},
        key_name=key_name,
        instance_market_options=market,
        block_device_mappings=disks,
        network_interfaces=[
            {
                "associate_public_ip_address": "false" if public is False else "true",
                # The nodes cannot join until the rule that lets them reach the API server exists.
                "security_groups": Output.all(ids, ingress.id if ingress else None).apply(lambda known: known[0]),
            }
        ],
        user_data=_user_data(cluster, group),
        opts=child,
    )
    after = [part for part in (component.cni, component.node_access) if part]
    scaling = aws.autoscaling.Group(
        label,
        min_size=group.get("minSize", 1),
        max_size=group.get("maxSize", 2),
        desired_capacity=group.get("desiredCapacity", 2),
        launch_template={"name": template.name, "version": template.latest_version.apply(lambda n: str(int(n)))},
        vpc_zone_identifiers=_subnets(component, group),
        instance_refresh={
            "strategy": "Rolling",
            "preferences": {"min_healthy_percentage": group.get("minRefreshPercentage", 50)},
        },
        tags=Output.all(cluster.name, group.get("autoScalingGroupTags")).apply(_scaling_tags),
        opts=ResourceOptions(
            parent=component,
            depends_on=after,
            ignore_changes=["desiredCapacity"] if group.get("ignoreScalingChanges") else None,
        ),
    )
    return {"nodeSecurityGroup": nodes_group, "autoScalingGroup": scaling, "extraNodeSecurityGroups": extra}


def _subnets(component: ClusterParts, group: Mapping[str, Any]) -> Any:
    """The option's subnets, otherwise the private ones, otherwise the public ones, otherwise all of the cluster's."""
    args = component.args
    named = group.get("nodeSubnetIds") or args.get("privateSubnetIds") or args.get("publicSubnetIds")
    return named or component.subnet_ids


def _recommended_image(component: ClusterParts, group: Mapping[str, Any]) -> Output[str]:
    flavour = "nvidia" if group.get("gpu") else "standard"
    path = Output.format(
        "/aws/service/eks/optimized-ami/{0}/amazon-linux-2023/x86_64/{1}/recommended/image_id",
        group.get("version") or component.cluster.version,
        flavour,
    )
    return aws.ssm.get_parameter_output(name=path, opts=InvokeOutputOptions(parent=component)).value


def _user_data(cluster: aws.eks.Cluster, group: Mapping[str, Any]) -> Output[str]:
    """The launch template's base64 user data: the override, or nodeadm's node configuration."""
    if group.get("nodeUserDataOverride"):
        return Output.from_input(group["nodeUserDataOverride"]).apply(_base64)

    def write(known: list[Any]) -> str:
        name, endpoint, ca_data, cidr, script, labels = known
        kubelet = {"flags": [f"--node-labels={','.join(f'{k}={v}' for k, v in labels.items())}"]} if labels else {}
        node = {
            "apiVersion": "node.eks.aws/v1alpha1",
            "kind": "NodeConfig",
            "spec": {
                "cluster": {"name": name, "apiServerEndpoint": endpoint, "certificateAuthority": ca_data, "cidr": cidr},
                **({"kubelet": kubelet} if kubelet else {}),
            },
        }
        parts = [("application/node.eks.aws", yaml.safe_dump(node, sort_keys=False))]
        if script:
            parts.append(("text/x-shellscript", script))
        body = "".join(f"--BOUNDARY\nContent-Type: {kind}\n\n{content}\n" for kind, content in parts)
        head = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="BOUNDARY"\n\n'
        return _base64(f"{head}{body}--BOUNDARY--\n")

    cidr = cluster.kubernetes_network_config.service_ipv4_cidr
    ca_data = cluster.certificate_authority.data
    facts = (cluster.name, cluster.endpoint, ca_data, cidr, group.get("nodeUserData"), group.get("labels"))
    return Output.all(*facts).apply(write)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _scaling_tags(known: list[Any]) -> Any:
    cluster, tags = known
    every = {**(tags or {}), f"kubernetes.io/cluster/{cluster}": "owned", "Name": f"{cluster}-worker"}
    return [{"key": key, "value": value, "propagate_at_launch": True} for key, value in every.items()]


def storage_class(name: str, spec: Mapping[str, Any], opts: ResourceOptions) -> kubernetes.storage.v1.StorageClass:
    """A storage class of the in-tree EBS provisioner, from an entry of the cluster's `storageClasses`."""

    def metadata(known: list[Any]) -> Any:
        meta, default = dict(known[0] or {}), known[1]
        if default:
            annotations = {**meta.get("annotations", {}), "storageclass.kubernetes.io/is-default-class": "true"}
            meta["annotations"] = annotations
        return meta

    def parameters(known: Mapping[str, Any]) -> dict[str, str]:
        words = {"type": known["type"]}
        if known.get("zones"):
            words["zones"] = ", ".join(known["zones"])
        for key in ("iopsPerGb", "encrypted"):
            if known.get(key):
                words[key] = json.dumps(int(known[key]) if key == "iopsPerGb" else bool(known[key]))
        if known.get("kmsKeyId"):
            words["kmsKeyId"] = known["kmsKeyId"]
        return words

    return kubernetes.storage.v1.StorageClass(
        name,
        metadata=Output.all(spec.get("metadata"), spec.get("default")).apply(metadata),
        provisioner="kubernetes.io/aws-ebs",
        parameters=Output.from_input(dict(spec)).apply(parameters),
        allow_volume_expansion=spec.get("allowVolumeExpansion"),
        mount_options=spec.get("mountOptions"),
        reclaim_policy=spec.get("reclaimPolicy"),
        volume_binding_mode=spec.get("volumeBindingMode"),
        opts=opts,
    )
