"""Which registries the nodes of a cluster reach: an image from any other stays in ImagePullBackOff.

A network without internet access reaches only its cloud's registries, and only privately: ECR of the region by VPC
endpoints (and S3's, for the layers), Google's registries by Private Google Access. Public registries are recognized by
name; any other registry counts as inside a network that the nodes reach. All nodes of a cluster are treated in the same
way: if one of their subnets has internet access, all have it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from components.charts.images import PUBLIC

GOOGLES = ("gcr.io", "pkg.dev")
ECR = "[0-9]{12}[.]dkr[.]ecr[.]"


@dataclass(frozen=True)
class Reach:
    """`closed`: no internet access. `inside`: regular expressions of the public registries that are reached anyway, for
    the beginning of an image's name."""

    closed: bool = False
    inside: tuple[str, ...] = ()

    @property
    def unreachable(self) -> str:
        """A jq filter that tests whether a pod names an image that its node cannot pull; '' if every image can be
        pulled."""
        if not self.closed:
            return ""
        hosts = "|".join(re.escape(host).replace("\\.", "[.]") for host in (*PUBLIC, *GOOGLES))
        # `nginx` and `team/train` mean docker.io; a registry has a dot or a port in its name.
        public = f"^(([^/]+[.])?({hosts})/|{ECR}|[^/.:]+(/|:|@|$))"
        reached = f' and (test("^({"|".join(self.inside)})") | not)' if self.inside else ""
        images = "[.spec.containers[].image, (.spec.initContainers // [])[].image]"
        return f'{images} | any(.[]; test("{public}"){reached}) | tostring'
