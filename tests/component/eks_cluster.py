"""An EKS cluster and its add-ons under the recorder."""

from __future__ import annotations

from datetime import date
from typing import Any

import pulumi

from components import arguments
from components.aws import cluster as clusters
from components.aws.addon import EksAddon
from components.aws.cluster import EksCluster, EksClusterArgs
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import AWS_ZONES, aws_options

ROLE = "arn:aws:iam::123456789012:role/ops"


def cluster_args(**args: Any) -> Any:
    """Arguments of an EksCluster with the physical name `train`."""
    defaults = {
        "cluster_name": "train",
        "version": "1.35",
        "network_id": "vpc-1",
        "private_subnet_ids": dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])),
        "public_subnet_ids": dict(zip(AWS_ZONES, ["subnet-3", "subnet-4"])),
    }
    return {**defaults, **args}


def filled(**args: Any) -> EksClusterArgs:
    """The same with the declared defaults, as a component's checks get them."""
    return arguments.cleaned(EksClusterArgs, cluster_args(**args))


def cluster(**args: Any) -> Recording:
    """A recorded EksCluster called `c`; its outputs are exported."""

    def program() -> None:
        made = EksCluster("c", cluster_args(**args), aws_options())
        for key in ("cluster_name", "kubeconfig", "connect_command", "security_group_id", "oidc_provider_arn"):
            pulumi.export(key, getattr(made, key))

    return run(program)


def addon(name: str = "coredns", **args: Any) -> Recording:
    """A recorded EksAddon called `a`."""
    defaults = {"addon": name, "cluster": "train", "kubernetes_version": "1.35"}
    return run(lambda: EksAddon("a", {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def wrong(**args: Any) -> dict[str, str]:
    """The problems of these arguments of a cluster: path → its whole text."""
    return {problem.path: str(problem) for problem in clusters.problems(filled(**args))}


def warned(today: str, **args: Any) -> str:
    """The result of `warnings` on that day."""
    return "\n".join(clusters.warnings(filled(**args), date.fromisoformat(today)))
