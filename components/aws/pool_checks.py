"""Problems and warnings of a pool on EKS, checked without calling AWS."""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime

from .. import arguments, checks, hardware, pool_checks, reservations
from ..checks import Problem
from ..pools import machines
from . import gpu_sharing, image_pull, node_repair, node_settings, system_keys, system_pods, user_data
from .pool_spec import EksNodePoolSpec, resolve

IMAGES = ("al2023", "bottlerocket")
_RELEASES = {
    "al2023": (r"\d+\.\d+\.\d+-\d{8}", "KUBERNETES-DATE such as 1.35.6-20260714"),
    "bottlerocket": (r"\d+\.\d+\.\d+-[0-9a-f]{8}", "VERSION-COMMIT such as 1.57.0-beaadc52"),
}
# EKS releases new images every week or two; after three months a fleet misses several kernels and drivers.
_OLD_DAYS = 90
_GROUPS_PER_INTERFACE = 5
_RESERVATION = r"cr-[0-9a-f]{8,17}"
_GROUP_ARN = r"arn:aws:resource-groups:(?P<region>[a-z0-9-]+):\d{12}:group/.+"


def problems(name: str, spec: EksNodePoolSpec, zones: list[str], version: str = "", tags: int = 0) -> Iterator[Problem]:
    """Everything that is wrong with a pool on EKS, checked without calling AWS. Paths are relative to the pool;
    `version` is the cluster's Kubernetes minor, if it is known."""
    spec = arguments.cleaned(EksNodePoolSpec, spec)
    if "machine" in spec and (wrong := list(hardware.declaration_problems(spec["machine"]))):
        yield from (problem.under("machine") for problem in wrong)
        return  # the rest would only repeat it
    common = list(pool_checks.problems(hardware.AWS, name, spec, zones))
    yield from common
    image = spec["image"]
    yield from checks.one_of("image", image, IMAGES)
    percentage = spec["update_percentage"]
    if not 1 <= percentage <= 100:
        yield Problem("update_percentage", percentage, "outside the range", "1 to 100", "write 33")
    for index, machine in enumerate(spec["machine_types"]):
        if machine.startswith("a1.") and image == "al2023" and "ami" not in spec:
            yield Problem(
                f"machine_types[{index}]", machine, "AL2023 does not boot on it: it needs a Graviton2 or later",
                "m6g, m7g, m8g and similar", f"write {machine.replace('a1.', 'm7g.')}",
            )  # fmt: skip
    yield from _reservation(spec, zones)
    yield from _own_machine(spec)
    yield from system_pods.node_problems(spec)
    yield from _own_image(spec)
    yield from node_settings.problems(image, spec.get("node_settings", {}))
    yield from _security_groups(spec)
    if "repair" in spec:
        yield from node_repair.problems(spec["repair"], spec["node_repair"])
    if not common:
        yield from gpu_sharing.problems(spec, image, spec.get("release"), machines(hardware.AWS, spec))
    if common or image not in IMAGES:
        return  # the rest would only repeat it
    eks = resolve(name, spec, version)
    if spec.get("fast_image_pull") and (slow := image_pull.problem(image, eks.pool)):
        yield slow
    labels = eks.pool.rungs[0].labels
    yield from system_keys.problems(labels, spec.get("taints", []), tags)
    yield from _release(name, spec, version)
    yield from _user_data(name, spec)


def _user_data(name: str, spec: EksNodePoolSpec) -> Iterator[Problem]:
    eks = resolve(name, spec)
    taints = [f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in eks.pool.taints]
    size = user_data.most(eks.image, labels=eks.pool.rungs[0].labels, taints=taints, settings=eks.node_settings)
    if size > user_data.LIMIT:
        yield Problem(
            "node_settings", f"{size:,} bytes",
            "together with what a node needs to join, this is more user data than EC2 accepts",
            f"{user_data.LIMIT:,} bytes in all",
            "omit settings that are defaults, or put them into your own image (`ami`)",
        )  # fmt: skip


def _own_machine(spec: EksNodePoolSpec) -> Iterator[Problem]:
    facts = spec.get("machine")
    if facts is None:
        return
    for index, name in enumerate(spec["machine_types"]):
        if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", name):
            yield Problem(
                f"machine_types[{index}]", name, "not the name of a machine type", "FAMILY.SIZE, such as p6e.36xlarge",
                "see `aws ec2 describe-instance-types`",
            )  # fmt: skip
    if all(name in hardware.names(hardware.AWS) for name in spec["machine_types"]):
        yield Problem("machine", dict(facts), "the facts of these machine types are known", "nothing", "remove it")


def _own_image(spec: EksNodePoolSpec) -> Iterator[Problem]:
    ami = spec.get("ami")
    if ami is None:
        return
    if not re.fullmatch(r"ami-[0-9a-f]{8}([0-9a-f]{9})?", ami):
        yield Problem(
            "ami", ami, "not a valid id of an image", "ami- and 17 hexadecimal digits", "see `aws ec2 describe-images`"
        )
    if "release" in spec:
        yield Problem(
            "release", spec["release"], "a release names one of EKS's images, and the pool has your own image",
            "`release` or `ami`",
            "remove `release`, or `ami`",
        )  # fmt: skip


def _security_groups(spec: EksNodePoolSpec) -> Iterator[Problem]:
    groups = spec.get("security_group_ids", [])
    # An interface takes five: the cluster's own group is one, that of EFA another (VPC quotas).
    most = _GROUPS_PER_INTERFACE - 1 - bool(spec["interconnect"])
    again = checks.repeated(groups)
    for index, group in enumerate(groups):
        path = f"security_group_ids[{index}]"
        if not re.fullmatch(r"sg-[0-9a-f]{8}([0-9a-f]{9})?", group):
            yield Problem(
                path, group, "not a valid id of a security group", "sg- and 17 hexadecimal digits",
                "see `aws ec2 describe-security-groups`",
            )  # fmt: skip
        elif index in again:
            yield Problem(path, group, "named twice", "each group once", "remove one of them")
    if len(groups) > most:
        yield Problem(
            "security_group_ids", len(groups), "a network interface takes five groups, and some are already used",
            f"up to {most}", "put their rules into fewer groups",
        )  # fmt: skip


def fact_problems(specs: Mapping[str, EksNodePoolSpec]) -> Iterator[Problem]:
    """Pools that give different facts for one machine type."""
    first_given: dict[str, tuple[str, hardware.MachineFacts]] = {}
    for name, spec in specs.items():
        if (facts := spec.get("machine")) is None:
            continue
        for machine in spec["machine_types"]:
            first, first_facts = first_given.setdefault(machine, (name, facts))
            if first_facts != facts:
                yield Problem(
                    f"{name}.machine", dict(facts), f"the pool {first} gives other facts for {machine}",
                    "the same facts in both", f"correct one of them: aws ec2 describe-instance-types {machine}",
                )  # fmt: skip


def _made_on(release: str) -> date | None:
    """The day in the name of an AL2023 release; None where the name has none."""
    try:
        return datetime.strptime(release.rpartition("-")[2], "%Y%m%d").date()
    except ValueError:
        return None


def _release(name: str, spec: EksNodePoolSpec, version: str) -> Iterator[Problem]:
    image, release = spec["image"], spec.get("release")
    pattern, allowed = _RELEASES[image]
    if release is not None and (
        not re.fullmatch(pattern, release) or (image == "al2023" and _made_on(release) is None)
    ):
        yield Problem("release", release, f"not a release of {image}", allowed, "see the AMI's list of releases")
        return
    if release is not None and image == "al2023" and version and not release.startswith(f"{version}."):
        yield Problem(
            "release", release, f"not of the cluster's Kubernetes {version}", f"{version}.PATCH-DATE",
            "choose a release of that minor, or remove it",
        )  # fmt: skip
    made = resolve(name, spec, version)
    if made.driver_branch is None:
        return
    source = "driver_branch" if "driver_branch" in spec else "release" if release else "machine_types[0]"
    for machine in machines(hardware.AWS, spec):
        oldest, newest = machine.driver_branches or (0, None)
        if made.driver_branch < oldest or (newest is not None and made.driver_branch > newest):
            need = f"{oldest} or later" if newest is None else f"{oldest} to {newest}"
            yield Problem(
                source, spec.get(source, machine.name),
                f"{machine.name} ({machine.gpu}) does not run with driver branch {made.driver_branch} "
                f"of the image {made.release}", f"driver branch {need}",
                "name a release with such a driver, and the branch of that driver",
            )  # fmt: skip


def _reservation(spec: EksNodePoolSpec, zones: list[str]) -> Iterator[Problem]:
    reservation, ladder = spec.get("reservation"), spec["capacity"]
    if reservation is None:
        if "reserved" in ladder:
            yield Problem(
                "reservation", None, "the rung reserved needs a reservation", "`id` or `group_arn` of a reservation",
                "add `reservation: {id: cr-…}`, or remove reserved from `capacity`",
            )  # fmt: skip
        return
    yield from (problem.under("reservation") for problem in reservations.problems(reservation))
    block = reservation["capacity_block"]
    what = "a capacity block" if block else "a reservation"
    if "reserved" not in ladder:
        yield Problem(
            "capacity", ladder, f"only the rung reserved uses {what}",
            "a ladder with reserved", f"write `capacity`: [{', '.join(['reserved', *ladder])}]",
        )  # fmt: skip
    identity, group = reservation.get("id"), reservation.get("group_arn")
    if (identity is None) == (group is None) or (block and identity is None):
        yield Problem(
            "reservation", dict(reservation), "exactly one of `id` and `group_arn` is needed",
            "`id` of a capacity block" if block else "`id` or `group_arn`", "write `reservation: {id: cr-…}`",
        )  # fmt: skip
    if identity is not None and not re.fullmatch(_RESERVATION, identity):
        yield Problem(
            "reservation.id", identity, "not a valid id of a reservation", "cr- and 8 to 17 hexadecimal digits",
            "see `aws ec2 describe-capacity-reservations`",
        )  # fmt: skip
    named = re.fullmatch(_GROUP_ARN, group or "")
    if named and zones and not zones[0].startswith(named["region"]):
        yield Problem(
            "reservation.group_arn", group,
            f"a group of {named['region']}: a reservation can be used only in its own region",
            f"a group of {zones[0][:-1]}", f"see `aws resource-groups list-groups --region {zones[0][:-1]}`",
        )  # fmt: skip
    if group is not None and not named:
        yield Problem(
            "reservation.group_arn", group, "not a valid ARN of a resource group",
            "arn:aws:resource-groups:REGION:ACCOUNT:group/NAME", "see `aws resource-groups list-groups`",
        )  # fmt: skip
    apart = spec.get("zones") or zones
    if identity is not None and len(apart) > 1:
        yield Problem(
            "zones", spec.get("zones", []), f"{what} lies in one zone, the pool in {len(apart)}",
            f"one of {', '.join(zones)}", f"write `zones: [{apart[0]}]`, the zone of {identity}",
        )  # fmt: skip
    if identity is not None and len(spec["machine_types"]) > 1:
        yield Problem(
            "machine_types", spec["machine_types"], f"{what} is of one machine type", "one name",
            "keep the type that is reserved",
        )  # fmt: skip
    if spec.get("placement"):
        yield Problem(
            "placement", True, f"{what} already fixes the place: EC2 answers InsufficientInstanceCapacity",
            "false with a reservation", "remove `placement`",
        )  # fmt: skip
    for index, machine in enumerate(machines(hardware.AWS, spec)):
        if block and not machine.capacity_block:
            yield Problem(
                f"machine_types[{index}]", machine.name, "not sold in capacity blocks",
                "p4d, p4de, p5, p5e, p5en, p6 and similar", "remove `capacity_block`, or choose another type",
            )  # fmt: skip


def warnings(node_pools: Mapping[str, EksNodePoolSpec], version: str, today: date) -> Iterator[str]:
    """Pools whose nodes run an old image, by the date in its release. `today`: in UTC."""
    for name, spec in node_pools.items():
        eks = resolve(name, spec, version)
        release = eks.release or ""
        # A Bottlerocket release is named after a commit.
        made = _made_on(release) if eks.image == "al2023" else None
        age = (today - made).days if made else 0
        if age > _OLD_DAYS:
            pinned = "set it to a newer one" if "release" in spec else "set `release` to a newer one, or update gpuyard"
            yield (
                f"{name}.release: the nodes' image {release} is {age} days old and lacks the security fixes since; "
                f"{pinned}: aws ssm get-parameter --name /aws/service/eks/optimized-ami/{version}/amazon-linux-2023/"
                "x86_64/standard/recommended/release_version --query Parameter.Value"
            )
