"""The Google APIs that a project must have switched on before anything else can be made."""

import re
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

from .. import checks
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
"""Needed where the cluster's secrets are encrypted with a key of one's own."""

DNS = "dns.googleapis.com"
"""Needed where Cloud DNS answers in the cluster."""
BINARY_AUTHORIZATION = "binaryauthorization.googleapis.com"
"""Needed where a policy says which images may run."""

_NAME = re.compile(r"[a-z][a-z0-9-]*\.googleapis\.com")


class GcpServicesArgs(TypedDict):
    """`services`: API names, such as container.googleapis.com."""

    services: list[str]


def problems(args: GcpServicesArgs) -> Iterator[Problem]:
    """What is wrong with the names of the APIs."""
    for index, service in enumerate(args["services"]):
        if not _NAME.fullmatch(service):
            name = f"{service.split('.')[0]}.googleapis.com"
            yield Problem(f"services[{index}]", service, "no name of a Google API", name, "see `gcloud services list`")
        elif service in args["services"][:index]:
            yield Problem(f"services[{index}]", service, "named twice", "each API once", "remove one of them")


class GcpServices(pulumi.ComponentResource):
    """Switches APIs on and never off: others in the project may use them.

    Does not: switch on the Service Usage API, by which this is done; new projects have it.
    """

    services: pulumi.Output[list[str]]
    """The APIs, known once all of them are on."""

    def __init__(self, name: str, args: GcpServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GcpServices", name, None, opts)
        checks.refuse(problems(args), f"GcpServices {name}")
        enabled = [
            gcp.projects.Service(
                f"{name}-{service.split('.')[0]}",
                service=service,
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for service in args["services"]
        ]
        self.services = pulumi.Output.all(*[service.service for service in enabled])
        self.register_outputs({"services": self.services})
