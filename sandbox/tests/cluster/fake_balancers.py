"""Load balancers of an in-memory cloud."""

from __future__ import annotations

from sandbox.cluster.api import Object
from sandbox.cluster.load_balancers import CannotBalance


class FakeBalancers:
    """Cloud (sandbox/cluster/load_balancers.py) that creates them unless `full`; `made`: name → the Service's name."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        self.full = False

    def serves(self, service: Object) -> bool:
        return not service["spec"].get("loadBalancerClass")

    def ensure(self, name: str, service: Object) -> str:
        if self.full:
            raise CannotBalance("could not find any suitable subnets for creating the ELB")
        self.made[name] = service["metadata"]["name"]
        return f"{name}.elb.example.org"

    def remove(self, name: str) -> None:
        self.made.pop(name, None)
