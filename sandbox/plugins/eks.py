"""The plugin `pulumi-resource-eks`: pulumi-eks' remote component `eks.Cluster`, served by Pulumi's own provider SDK.

Purpose: the engine constructs the cluster here as it does in the real plugin. The children are created through the
simulated aws and kubernetes providers. Arguments are checked first: names and types at any depth (`schema.py`), then
combinations that exclude each other (`eks_rules.py`). Each failure names its property.
Does not provide the package's other components (ManagedNodeGroup, NodeGroup, …); the error says what to use instead.
Run as `python -m sandbox.plugins.eks ENGINE_ADDRESS`; prints its port.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from pulumi import InputPropertiesError, Inputs, Output, Resource, ResourceOptions
from pulumi.provider import CallResult, ConstructResult, Provider
from pulumi.provider.server import main as serve

from .eks_access import kubeconfig
from .eks_addons import to_json
from .eks_cluster import Cluster
from .eks_rules import conflicts
from .peer import guard_pulumi
from .provider import UNKNOWN, CheckFailure
from .schema import Schema

VERSION = "4.4.0"
CLUSTER = "eks:index:Cluster"


class EksProvider(Provider):
    """Constructs clusters. See the module's docstring."""

    def __init__(self) -> None:
        super().__init__(VERSION)

    def construct(
        self, name: str, resource_type: str, inputs: Inputs, options: ResourceOptions | None = None
    ) -> ConstructResult:
        """Creates the component and its children.

        Raises:
            InputPropertiesError: an argument does not exist in pulumi-eks, has the wrong type or is excluded by another
                one; or the sandbox does not simulate the component.
        """
        if resource_type != CLUSTER:
            hint = "not simulated; use aws.eks.NodeGroup for node groups, aws.eks.Addon for add-ons"
            raise _refusal(resource_type, name, [CheckFailure("", hint)])
        failures = _check(inputs)
        if failures:
            raise _refusal(resource_type, name, failures)
        cluster = Cluster(name, inputs, options)
        return ConstructResult(cluster.urn, cluster.state)

    def call(self, token: str, args: Inputs) -> CallResult:
        """Handles the component's one method, `getKubeconfig`."""
        if token != f"{CLUSTER}/getKubeconfig":
            raise LookupError(f"eks.Cluster has no method {token.rpartition('/')[2]}")
        component: Any = args["__self__"]
        credentials = {key: args.get(key) for key in ("roleArn", "profileName")}
        cluster = Output.from_input(component).apply(lambda known: known.eks_cluster)
        authority = cluster.certificate_authority.data
        config = kubeconfig(cluster.name, cluster.endpoint, authority, cluster.arn, credentials, profile=True)
        return CallResult({"result": config.apply(to_json)})


def _refusal(token: str, name: str, failures: list[CheckFailure]) -> InputPropertiesError:
    return InputPropertiesError(
        f"{token} {name!r} cannot be created",
        [{"property_path": failure.property, "reason": failure.reason} for failure in failures],
    )


def _check(inputs: Mapping[str, Any]) -> list[CheckFailure]:
    props = _plain(inputs)
    if isinstance(props.get("storageClasses"), dict):
        # Pulumi reads the SDK type `str | Mapping[…]` as `str`; the API server checks the map.
        del props["storageClasses"]
    return Schema("eks").check_inputs(CLUSTER, props) or conflicts(inputs)


def _plain(value: Any) -> Any:
    """The inputs as the schema expects them: unknown values and references to other resources become `UNKNOWN`."""
    if isinstance(value, (Output, Resource)):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # Pulumi's SDK decodes every number as a float.
    return int(value) if isinstance(value, float) and value.is_integer() else value


if __name__ == "__main__":
    guard_pulumi()
    serve(EksProvider(), sys.argv[1:])
