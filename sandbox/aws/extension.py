"""Extends moto with AWS behavior that it lacks and that matters here. Loaded once, before the server starts to serve.

The real behavior of these parts decides whether a program is correct:

- EKS is replaced completely (sandbox/aws/eks/);
- an Auto Scaling group spreads its instances over its subnets, launches them from the right template version with the
  template's disks, tags and security groups, marks spot instances, and refuses a size outside min..max; it launches no
  instance that a policy of the organization refuses (`requires` in faults.json);
- subnets, security groups, VPCs, launch templates and internet gateways cannot be deleted while they are in use
  (DependencyViolation, as in EC2); addresses and CIDR blocks outside their VPC are refused;
- secondary networks and interface endpoints follow EC2's rules (vpc.py), and load balancers block the deletion of
  their subnets, security groups and internet gateways (elb.py);
- placement groups (placement_groups.py), FSx's behaviour of Lustre file systems (fsx.py) and a few updates of EFS and
  IAM (missing.py) are added;
- the EKS images' SSM parameters exist, and so does p3.2xlarge (machine_types.py).
"""

from __future__ import annotations

import base64
import collections
import sys
from typing import Any

from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.models import ASG_NAME_TAG, AutoScalingBackend, FakeAutoScalingGroup, InstanceState
from moto.core.utils import utcnow
from moto.ec2.exceptions import DependencyViolationError
from moto.ec2.models import EC2Backend
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.utils import convert_tag_spec, parse_user_data
from moto.eks.models import eks_backends
from moto.iam.models import IAMBackend
from moto.ssm.models import Parameter, ParameterDict

from sandbox.aws import elb, fsx, machine_types, missing, placement_groups, vpc
from sandbox.aws.eks import versions
from sandbox.aws.eks.wire import ServedBackend
from sandbox.aws.placement_groups import Ec2Error
from sandbox.plugins import faults

MOST_USER_DATA = 16_384
"""Maximum size of user data in bytes, before base64."""

KEPT_TERMINATED = 40
"""Number of terminated instances to keep. EC2 shows them for about an hour; here only the last few, to limit the
state."""


def load() -> None:
    """Applies the changes to moto. Idempotent."""
    machine_types.load()
    placement_groups.load()
    missing.load()
    fsx.load()
    eks_backends.backend = ServedBackend  # type: ignore[assignment]
    FakeAutoScalingGroup.replace_autoscaling_group_instances = _launch  # type: ignore[method-assign]
    for owner, name, wrapper in (
        (AutoScalingBackend, "set_desired_capacity", _checked_size),
        (AutoScalingBackend, "create_or_update_tags", _tags_of_existing),
        (AutoScalingBackend, "terminate_instance", _rebalancing),
        (AutoScalingBackend, "create_auto_scaling_group", _checked_name),
        (EC2Backend, "terminate_instances", _forgetting),
        (LaunchTemplate, "create_version", _sized),
        (EC2Backend, "delete_subnet", _unused_subnet),
        (EC2Backend, "delete_vpc", _unused_vpc),
        (EC2Backend, "_delete_security_group", _unused_group),
        (EC2Backend, "detach_internet_gateway", _unmapped_gateway),
        (EC2Backend, "delete_nat_gateway", _released_nat),
        (ParameterDict, "_check_loading_status", _with_eks_images),
        (IAMBackend, "_init_aws_policies", _in_one_partition),
        *elb.CHANGES,
        *fsx.CHANGES,
        *vpc.CHANGES,
    ):
        original = getattr(owner, name)
        if not hasattr(original, "wrapped_by_sandbox"):
            setattr(owner, name, _wrap(original, wrapper))


def _wrap(original: Any, wrapper: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapper(original, self, *args, **kwargs)

    call.wrapped_by_sandbox = True  # type: ignore[attr-defined]
    return call


def _sized(original: Any, template: LaunchTemplate, data: dict[str, Any], description: str) -> Any:
    """EC2 limits the size of user data (kops#10202). moto parses it in a template's first version only, and could not
    launch from a later one."""
    text = str(data.get("UserData") or "")
    if len(base64.b64decode(text)) > MOST_USER_DATA:
        raise Ec2Error("InvalidUserData.Malformed", f"User data is limited to {MOST_USER_DATA} bytes.")
    return original(template, {**data, "UserData": parse_user_data(text)} if text else data, description)


def _launch(group: FakeAutoScalingGroup, count_needed: int, propagated_tags: dict[str, str]) -> None:
    """Launches instances in the zones with the fewest instances, as zone balancing does."""
    ec2, template = group.ec2_backend, group.ec2_launch_template
    if template is None:
        raise ValidationError("The sandbox launches Auto Scaling groups from launch templates only.")
    policy = group.mixed_instances_policy or {}
    distribution = policy.get("InstancesDistribution", {})
    spot = bool(policy) and str(distribution.get("OnDemandPercentageAboveBaseCapacity", 100)) == "0"
    overrides = policy.get("LaunchTemplate", {}).get("Overrides") or []
    chosen = template.get_version(group.launch_template_version)
    data = chosen.data
    types = [each["InstanceType"] for each in overrides if each.get("InstanceType")] or [chosen.instance_type]
    # On demand: the first type. Spot: the deepest and cheapest pool, here the smallest type (price-capacity-optimized).
    instance_type = min(types, key=_vcpus) if spot else types[0]
    groups = list(data.get("SecurityGroupIds") or [])
    for interface in data.get("NetworkInterfaces") or []:
        groups += [each for each in interface.get("Groups") or [] if each not in groups]
    subnets = [ec2.get_subnet(each) for each in (group.vpc_zone_identifier or "").split(",") if each]
    given = convert_tag_spec(data.get("TagSpecifications", []))
    tags = {ASG_NAME_TAG: group.name, **propagated_tags, **given.get("instance", {})}
    if _refused(group.name, data, tags, given.get("volume", {})):
        return  # the group keeps trying, without a new machine
    for _ in range(count_needed):
        used = collections.Counter(state.instance.placement.zone for state in group.instance_states)
        subnet = min(subnets, key=lambda each: used[each.availability_zone]) if subnets else None
        reservation = ec2.run_instances(
            chosen.image_id,
            1,
            chosen.user_data,
            [],
            instance_type=instance_type,
            tags={"instance": dict(tags), "volume": dict(given.get("volume", {}))},
            placement=subnet.availability_zone if subnet else group.availability_zones[0],
            launch_template={"LaunchTemplateId": template.id, "Version": str(chosen.number)},
            # EKS's images delete the root volume with the instance unless the template sets otherwise.
            block_device_mappings=[
                {**each, "Ebs": {"DeleteOnTermination": True, **each["Ebs"]}}
                for each in data.get("BlockDeviceMappings") or []
                if "Ebs" in each
            ],
            security_group_ids=groups,
            is_instance_type_default=False,
            associate_public_ip=None,
            subnet_id=subnet.id if subnet else None,
            region_name=ec2.region_name,
            lifecycle="spot" if spot else None,
        )
        for instance in reservation.instances:
            instance.autoscaling_group = group  # type: ignore[attr-defined]
            for interface in instance.nics.values():
                interface.delete_on_termination = True
            group.instance_states.append(
                InstanceState(instance, protected_from_scale_in=group.new_instances_protected_from_scale_in)
            )


def _refused(group: str, data: dict[str, Any], tags: dict[str, str], volumes: dict[str, str]) -> str:
    """Why an organization's policy refuses the group's machines; empty if none does (`requires` in faults.json)."""
    mapped = {each["DeviceName"]: each.get("Ebs", {}) for each in data.get("BlockDeviceMappings") or []}
    # A volume that the image defines and the template does not is created without encryption.
    encrypted = all(mapped.get(device, {}).get("Encrypted") is True for device in {"/dev/xvda", *mapped})
    both = {key: value for key, value in tags.items() if key in volumes}
    why = faults.refused(f"aws:ec2/instance:Instance::{group}", both, encrypted)
    if why:
        print(f"launch refused: {why}", file=sys.stderr, flush=True)
    return why


def _vcpus(machine_type: str) -> int:
    facts = machine_types.find(machine_type)
    return facts["VCpuInfo"]["DefaultVCpus"] if facts else 0


def _checked_size(original: Any, backend: Any, group_name: str, desired_capacity: int | None) -> Any:
    group = backend.autoscaling_groups.get(group_name)
    if group is None:
        raise ValidationError("AutoScalingGroup name not found - null")
    # moto deletes a group by setting its size to 0 first, which is not a caller's request
    if desired_capacity and desired_capacity > (group.max_size or 0):
        raise ValidationError(
            f"New SetDesiredCapacity value {desired_capacity} is above max value {group.max_size} for the "
            "AutoScalingGroup."
        )
    if desired_capacity and desired_capacity < (group.min_size or 0):
        raise ValidationError(
            f"New SetDesiredCapacity value {desired_capacity} is below min value {group.min_size} for the "
            "AutoScalingGroup."
        )
    return original(backend, group_name, desired_capacity)


def _rebalancing(original: Any, backend: Any, instance_id: str, should_decrement: bool) -> Any:
    """AZRebalance: a group with uneven zones launches an instance in the smallest zone and then terminates one in the
    largest, in use or not (EC2 Auto Scaling user guide, "Availability Zone balancing"). EKS suspends it
    in no group."""
    groups = [
        group
        for group in backend.autoscaling_groups.values()
        if any(state.instance.id == instance_id for state in group.instance_states)
    ]
    if not groups:
        raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
    (group,) = groups
    activity = original(backend, instance_id, should_decrement)
    while len(group.availability_zones) > 1:
        zones: dict[str, list[Any]] = {zone: [] for zone in group.availability_zones}
        for state in group.instance_states:
            zones[state.instance.placement.zone].append(state)
        fullest, emptiest = max(zones.values(), key=len), min(zones.values(), key=len)
        if len(fullest) - len(emptiest) < 2:
            break
        group.replace_autoscaling_group_instances(1, group.get_propagated_tags())
        group.instance_states.remove(fullest[-1])
        backend.ec2_backend.terminate_instances([fullest[-1].instance.id])
    return activity


def _checked_name(original: Any, backend: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    if name in backend.autoscaling_groups:
        raise ValidationError(
            f"AutoScalingGroup by this name already exists - A group with the name {name} already exists"
        )
    return original(backend, name, *args, **kwargs)


def _tags_of_existing(original: Any, backend: Any, tags: list[dict[str, Any]]) -> Any:
    for tag in tags:
        if tag["ResourceId"] not in backend.autoscaling_groups:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup {tag['ResourceId']} not found")
    return original(backend, tags)


def _forgetting(original: Any, ec2: Any, instance_ids: list[str]) -> Any:
    answer = original(ec2, instance_ids)
    for instance, _ in answer:  # the interface and its address are deleted with the instance
        for interface in list(instance.nics.values()):
            ec2.enis.pop(interface.id, None)
    gone = [
        reservation_id
        for reservation_id, reservation in ec2.reservations.items()
        if reservation.instances and all(each.state == "terminated" for each in reservation.instances)
    ]
    for reservation_id in gone[:-KEPT_TERMINATED]:
        del ec2.reservations[reservation_id]
    return answer


def _unused_subnet(original: Any, ec2: Any, subnet_id: str) -> Any:
    if any(_subnet_of(interface) == subnet_id for interface in ec2.enis.values()):
        raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
    for table in ec2.route_tables.values():
        for association, associated in list(table._associations.items()):
            if associated == subnet_id:  # EC2 deletes the association with the subnet
                del table._associations[association]
    return original(ec2, subnet_id)


def _subnet_of(interface: Any) -> str | None:
    subnet = interface.subnet
    return getattr(subnet, "id", subnet)


def _unused_vpc(original: Any, ec2: Any, vpc_id: str) -> Any:
    gateways = any(gateway.vpc is not None and gateway.vpc.id == vpc_id for gateway in ec2.internet_gateways.values())
    endpoints = any(
        each.vpc_id == vpc_id and each.state not in ("deleted", "deleting") for each in ec2.vpc_end_points.values()
    )
    groups = any(group.name != "default" for group in ec2.groups.get(vpc_id, {}).values())
    if gateways or endpoints or groups:
        raise DependencyViolationError(f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")
    return original(ec2, vpc_id)


def _unused_group(original: Any, ec2: Any, vpc_id: str | None, group_id: str) -> Any:
    in_use = any(
        group_id in {getattr(each, "id", each) for each in interface.group_set} for interface in ec2.enis.values()
    )
    named = any(
        rule.source_group.get("GroupId") == group_id
        for groups in ec2.groups.values()
        for group in groups.values()
        if group.id != group_id
        for rule in [*group.ingress_rules, *group.egress_rules]
    )
    if in_use or named:
        raise DependencyViolationError(f"resource {group_id} has a dependent object")
    return original(ec2, vpc_id, group_id)


def _released_nat(original: Any, ec2: Any, nat_gateway_id: str) -> Any:
    gateway = original(ec2, nat_gateway_id)
    for address in list(ec2.addresses):  # the account keeps the address, unmapped
        if address.eni is gateway._eni:
            ec2.disassociate_address(association_id=address.association_id)
    ec2.enis.pop(gateway._eni.id, None)
    return gateway


def _unmapped_gateway(original: Any, ec2: Any, internet_gateway_id: str, vpc_id: str) -> Any:
    mapped = elb.maps_addresses(ec2, vpc_id)
    for gateway in ec2.nat_gateways.values():
        subnets = [each for zone in ec2.subnets.values() for each in zone.values() if each.id == gateway.subnet_id]
        public = gateway.state not in ("deleted", "deleting") and gateway.connectivity_type == "public"
        mapped = mapped or (public and any(each.vpc_id == vpc_id for each in subnets))
    if mapped:
        raise DependencyViolationError(
            f"Network {vpc_id} has some mapped public address(es). Please unmap those public address(es) before "
            "detaching the gateway."
        )
    return original(ec2, internet_gateway_id, vpc_id)


def _in_one_partition(original: Any, backend: IAMBackend) -> Any:
    """AWS's own policies in the partition `aws`, none in others. To look up the caller, moto creates a backend for each
    partition, which would load all policies."""
    return original(backend) if backend.region_name == "aws" else []


def _with_eks_images(original: Any, parameters: Any, key: str) -> Any:
    if str(key or "").startswith("/aws/service/eks/") and not dict.__contains__(parameters, "/aws/service/eks"):
        dict.__setitem__(parameters, "/aws/service/eks", [])  # marks them as loaded
        for name, value in versions.parameters(parameters.region_name).items():
            made = Parameter(
                account_id=parameters.account_id,
                name=name,
                value=value,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=utcnow(),
                version=1,
                data_type="text",
            )
            dict.__setitem__(parameters, name, [made])
    return original(parameters, key)
