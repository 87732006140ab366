"""The Google APIs that a project must have enabled before anything else can be created."""

import re
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from .. import arguments, checks, child_names
from ..checks import Problem

REQUIRED = (
    "artifactregistry.googleapis.com",
    "cloudresourcemanager.googleapis.com",  # roles on the project
    "compute.googleapis.com",
    "container.googleapis.com",
    "containerfilesystem.googleapis.com",  # image streaming
    "file.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",  # Workload Identity
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "storage.googleapis.com",  # buckets as volumes
)
KEYS = "cloudkms.googleapis.com"
"""Needed where a Cloud KMS key encrypts the cluster's secrets or disks."""

DNS = "dns.googleapis.com"
"""Needed where Cloud DNS serves the cluster."""
BINARY_AUTHORIZATION = "binaryauthorization.googleapis.com"
"""Needed where a policy decides which images may run."""

_NAME = re.compile(r"[a-z][a-z0-9-]*\.googleapis\.com")


class GcpServicesArgs(TypedDict):
    """The APIs that a project needs."""

    services: list[str]
    """Names of the APIs, such as container.googleapis.com."""


def problems(args: GcpServicesArgs) -> Iterator[Problem]:
    """What is wrong with the names of the APIs."""
    again = checks.repeated(args["services"])
    for index, service in enumerate(args["services"]):
        if not _NAME.fullmatch(service):
            name = f"{service.split('.')[0]}.googleapis.com"
            yield Problem(
                f"services[{index}]", service, "not a valid name of a Google API", name, "see `gcloud services list`"
            )
        elif index in again:
            yield Problem(f"services[{index}]", service, "named twice", "each API once", "remove one of them")


class GcpServices(pulumi.ComponentResource):
    """Enables APIs of a project, and never disables them, because others in the project may use them. It does not
    enable the Service Usage API, which it needs; new projects have it.
    """

    services: pulumi.Output[list[str]]
    """The APIs, known once all of them are enabled."""

    def __init__(self, name: str, args: GcpServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"GcpServices {name}", GcpServicesArgs, args, problems)
        child_names.claim(
            "GcpServices", name, opts,
            {_child(name, service): f"services[{index}]" for index, service in enumerate(args["services"])},
        )  # fmt: skip
        super().__init__("gpuyard:index:GcpServices", name, None, opts)
        self.resources = [
            gcp.projects.Service(
                _child(name, service),
                service=service,
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for service in args["services"]
        ]
        """The enabled APIs as resources, in the order of `services`."""
        self.services = pulumi.Output.all(*[service.service for service in self.resources])
        self.register_outputs({"services": self.services})


def _child(name: str, service: str) -> str:
    return f"{name}-{service.split('.')[0]}"
