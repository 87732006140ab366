"""Which registries the nodes of a cluster reach: an image from any other stays in ImagePullBackOff.

A network without internet access reaches only its cloud's registries, and only privately: ECR of the region by VPC
endpoints (and S3's, for the layers), Google's registries by Private Google Access. Registries of the internet are
known by name; any other is taken to be inside a network that the nodes reach. All nodes of a cluster count
alike: if one of their subnets has internet access, all have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from components.charts.images import PUBLIC

GOOGLES = ("gcr.io", "pkg.dev")
ECR = "[0-9]{12}[.]dkr[.]ecr[.]"


@dataclass(frozen=True)
class Reach:
    """`closed`: no internet access. `inside`: regular expressions of the public registries that are reached all the
    same, as the beginning of an image's name."""

    closed: bool = False
    inside: tuple[str, ...] = ()

    @property
    def unreachable(self) -> str:
        """A jq filter that tests whether a pod names an image that its node cannot pull; '' if none does."""
        if not self.closed:
            return ""
        hosts = "|".join(re.escape(host).replace("\\.", "[.]") for host in (*PUBLIC, *GOOGLES))
        # `nginx` and `team/train` mean docker.io; a registry has a dot or a port in its name.
        public = f"^(([^/]+[.])?({hosts})/|{ECR}|[^/.:]+(/|:|@|$))"
        reached = f' and (test("^({"|".join(self.inside)})") | not)' if self.inside else ""
        images = "[.spec.containers[].image, (.spec.initContainers // [])[].image]"
        return f'{images} | any(.[]; test("{public}"){reached}) | tostring'
