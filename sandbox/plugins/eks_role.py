"""pulumi-eks' role for one AWS service, with its managed policies.

Source of facts: pulumi-eks 4.4.0, nodejs/eks/servicerole (August 2026).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import Output, ResourceOptions


class ServiceRole(pulumi.ComponentResource):
    """A role for one AWS service with managed policies. `attached`: the attachments that dependents wait for."""

    role: aws.iam.Role
    attached: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        service: str,
        policies: Sequence[str],
        partition: Output[str],
        tags: Any,
        opts: ResourceOptions,
        description: str | None = None,
        actions: Sequence[str] = ("sts:AssumeRole",),
    ) -> None:
        super().__init__("eks:index:ServiceRole", name, None, opts)
        child = ResourceOptions(parent=self)
        statement = {"Action": list(actions), "Effect": "Allow", "Principal": {"Service": [service]}}
        trust = {"Version": "2012-10-17", "Statement": [statement]}
        self.role = aws.iam.Role(
            f"{name}-role",
            description=description,
            assume_role_policy=json.dumps(trust, separators=(",", ":")),
            tags=tags,
            opts=child,
        )
        self.attached = [self.role]
        for policy in policies:
            # The suffix is a hash of the policy's name in the commercial partition, even in other partitions.
            suffix = hashlib.sha1(f"arn:aws:iam::aws:policy/{policy}".encode()).hexdigest()[:8]
            arn = Output.format("arn:{0}:iam::aws:policy/{1}", partition, policy)
            attachment = aws.iam.RolePolicyAttachment(
                f"{name}-{suffix}", policy_arn=arn, role=self.role.name, opts=child
            )
            self.attached.append(attachment)
        self.register_outputs({"resolvedRole": self.role, "directRole": self.role})
