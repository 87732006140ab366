"""Failures and delays that the sandbox adds to a provider's operations, on request.

`.sandbox/faults.json` holds a list of faults. It is read before every operation, so that you can add a fault during
a `pulumi up`. Each fault is an object:

    match      glob over `TYPE::NAME` or the URN, for example "aws:eks/nodeGroup:NodeGroup::gpu-*"
    operation  create | update | delete | read | *        (default *)
    phase      before: the cloud gets no request | after: it did its work and the answer was lost   (default before)
    error      the message for the user; without it the fault is only a delay
    partial    with phase `after`: the engine still records the object (default false: it is orphaned)
    times      how many times it applies; the count restarts when the file changes (default: always)
    seconds    a delay before it applies
    requires   refuses objects that the clouds create automatically (machines of groups, disks of claims) if they lack
               one of: `tag:KEY`, `encrypted`. It simulates an organization's policy; `match` is then a glob over
               `aws:ec2/instance:Instance::GROUP` or `aws:ebs/volume:Volume::CLAIM`

Durations: `$GPUYARD_SANDBOX_TIME_SCALE` × the real cloud's time for the operation (0, the default: no waiting; 0.01: a
ten-minute cluster takes six seconds). The figures are typical times, not exact ones.
"""

from __future__ import annotations

import fnmatch
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sandbox import paths
from sandbox.errors import SandboxError
from sandbox.plugins.provider import ProviderError

Operation = Literal["create", "update", "delete", "read"]
_LONGEST = 86_400
"""The longest delay of a fault, in seconds: one day."""

REAL_SECONDS: dict[str, tuple[float, float, float]] = {
    # type: seconds to create, update, delete.
    # [doc] "takes several minutes", 10 to 15 for most accounts (EKS user guide); update: one control-plane change.
    "aws:eks/cluster:Cluster": (560, 480, 150),
    # The rest are estimates from everyday use: an empty group has no nodes to wait for.
    "aws:eks/nodeGroup:NodeGroup": (105, 60, 120),
    "aws:eks/addon:Addon": (35, 30, 10),
    "aws:eks/accessEntry:AccessEntry": (2, 2, 2),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (2, 2, 2),
    "aws:ec2/vpc:Vpc": (12, 2, 1),
    "aws:ec2/subnet:Subnet": (11, 2, 1),
    "aws:ec2/natGateway:NatGateway": (105, 2, 55),
    "aws:ec2/internetGateway:InternetGateway": (1, 1, 12),
    "aws:ec2/eip:Eip": (2, 1, 2),
    "aws:ec2/routeTable:RouteTable": (2, 2, 1),
    "aws:ec2/route:Route": (2, 2, 1),
    "aws:ec2/securityGroup:SecurityGroup": (3, 2, 1),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (60, 10, 65),
    "aws:ec2/launchTemplate:LaunchTemplate": (1, 1, 1),
    "aws:efs/fileSystem:FileSystem": (8, 3, 2),
    "aws:efs/mountTarget:MountTarget": (85, 5, 35),
    "aws:iam/role:Role": (2, 1, 1),
    "aws:iam/instanceProfile:InstanceProfile": (7, 1, 1),
    "aws:kms/key:Key": (8, 5, 1),
    "gcp:compute/network:Network": (22, 10, 22),
    "gcp:compute/subnetwork:Subnetwork": (14, 14, 20),
    "gcp:compute/router:Router": (12, 12, 12),
    "gcp:compute/routerNat:RouterNat": (12, 12, 12),
    "gcp:container/cluster:Cluster": (340, 200, 220),
    "gcp:container/nodePool:NodePool": (75, 60, 110),
    "gcp:filestore/instance:Instance": (210, 60, 60),
    "gcp:projects/service:Service": (5, 2, 2),
    "gcp:projects/iAMMember:IAMMember": (9, 9, 9),
    "gcp:serviceaccount/account:Account": (11, 2, 1),
}


class Fault(BaseModel):
    """One entry of faults.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: str
    operation: Literal["create", "update", "delete", "read", "*"] = "*"
    phase: Literal["before", "after"] = "before"
    error: str = ""
    partial: bool = False
    times: int | None = Field(None, ge=0)
    seconds: float = Field(0, ge=0, le=_LONGEST)
    requires: list[str] = []

    def strikes(self, operation: Operation, phase: str, urn: str) -> bool:
        """Whether the fault applies to this operation on this resource."""
        if self.requires or self.phase != phase or self.operation not in ("*", operation):
            return False
        return any(fnmatch.fnmatchcase(name, self.match) for name in (urn, typed_name(urn)))


def refused(name: str, tags: Mapping[str, str], encrypted: bool) -> str:
    """Why a policy refuses an object that a cloud is about to create; '' if none does. `name`: as in `match`."""
    has = {*(f"tag:{key}" for key in tags), *(["encrypted"] if encrypted else [])}
    for fault in load():
        if fault.requires and fnmatch.fnmatchcase(name, fault.match) and (missing := {*fault.requires} - has):
            return f"{fault.error or 'refused by a policy'}: {name} lacks {', '.join(sorted(missing))}"
    return ""


def typed_name(urn: str) -> str:
    """`TYPE::NAME` of a URN, without the types of its parents."""
    types, _, name = urn.split("::", 2)[-1].partition("::")
    return f"{types.rsplit('$', 1)[-1]}::{name}"


def load(path: Path | None = None) -> list[Fault]:
    """The faults of `.sandbox/faults.json`; empty without such a file. Raises SandboxError if it is not valid."""
    path = path or paths.home() / "faults.json"
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SandboxError(
            f"{path.name} cannot be read: {error.strerror}.", f"make {path} a file that you may read, or remove it"
        ) from None
    try:
        return TypeAdapter(list[Fault]).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SandboxError(
            f"{path.name}: {where + ': ' if where else ''}{first['msg']}",
            f"correct {path}, or remove it to inject no failures",
        ) from None


@dataclass
class Faults:
    """The faults of one provider host. Counts how often each has applied. Thread-safe."""

    _struck: dict[int, int] = field(default_factory=dict)
    _version: tuple[int, int] = (0, 0)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def before(self, operation: Operation, urn: str, cancelled: threading.Event) -> None:
        """Waits for the operation's scaled time, then raises ProviderError if a fault applies."""
        wait(real_seconds(typed_name(urn).split("::")[0], operation) * time_scale(), cancelled)
        self._apply(operation, "before", urn, cancelled, None)

    def after(
        self, operation: Operation, urn: str, cancelled: threading.Event, made: tuple[str, dict[str, Any]] | None = None
    ) -> None:
        """Fails an operation that has done its work. `made`: id and outputs of the created or changed object."""
        self._apply(operation, "after", urn, cancelled, made)

    def _apply(
        self,
        operation: Operation,
        phase: str,
        urn: str,
        cancelled: threading.Event,
        made: tuple[str, dict[str, Any]] | None,
    ) -> None:
        for index, fault in enumerate(self._current()):
            if not fault.strikes(operation, phase, urn):
                continue
            with self._lock:
                struck = self._struck.get(index, 0)
                if fault.times is not None and struck >= fault.times:
                    continue
                self._struck[index] = struck + 1
            wait(fault.seconds, cancelled)
            if fault.error:
                raise ProviderError(fault.error, partial=made if fault.partial else None)

    def _current(self) -> list[Fault]:
        path = paths.home() / "faults.json"
        try:
            stat = path.stat()
        except FileNotFoundError:
            return []
        version = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            if version != self._version:
                self._version = version
                self._struck.clear()
        return load(path)


def real_seconds(type_token: str, operation: Operation) -> float:
    """How long the real cloud takes, in seconds; 0 for a read and for types that answer at once."""
    if operation == "read" or type_token not in REAL_SECONDS:
        return 0
    return REAL_SECONDS[type_token][("create", "update", "delete").index(operation)]


def time_scale() -> float:
    """The value of $GPUYARD_SANDBOX_TIME_SCALE; 0 if unset."""
    text = os.environ.get("GPUYARD_SANDBOX_TIME_SCALE") or "0"
    try:
        scale = float(text)
    except ValueError:
        scale = -1
    if not 0 <= scale <= 10:
        raise SandboxError(
            f"GPUYARD_SANDBOX_TIME_SCALE is {text!r}, not a number from 0 to 10",
            "unset it, or set it to 0.01 to wait a hundredth of the real time",
        )
    return scale


def wait(seconds: float, cancelled: threading.Event) -> None:
    """Sleeps. Raises ProviderError as soon as the engine cancels."""
    if seconds > 0 and cancelled.wait(seconds):
        raise ProviderError("the operation was cancelled")
