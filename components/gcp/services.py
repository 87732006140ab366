"""The Google APIs that a project must have switched on before anything else can be made."""

from typing import TypedDict

import pulumi
import pulumi_gcp as gcp

REQUIRED = (
    "compute.googleapis.com",
    "container.googleapis.com",
    "file.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
)


class GcpServicesArgs(TypedDict):
    """`services`: API names, such as container.googleapis.com."""

    services: list[str]


class GcpServices(pulumi.ComponentResource):
    """Switches APIs on and never off: others in the project may use them."""

    services: pulumi.Output[list[str]]
    """The APIs, known once all of them are on."""

    def __init__(self, name: str, args: GcpServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GcpServices", name, None, opts)
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
