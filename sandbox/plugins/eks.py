"""The plugin `pulumi-resource-eks`: pulumi-eks' remote component `eks.Cluster`, served by Pulumi's own provider SDK.

Purpose: the engine constructs the cluster here as it does in the real plugin; the children are then made through the
simulated aws and kubernetes providers. Checks first: names and types of all arguments at any depth (`schema.py`), then
combinations that exclude each other (`eks_rules.py`); each failure names its property.
Not here: the package's other components (ManagedNodeGroup, NodeGroup, …), refused with what to use instead.
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
    """Constructs clusters; see the module."""

    def __init__(self) -> None:
        super().__init__(VERSION)

    def construct(
        self, name: str, resource_type: str, inputs: Inputs, options: ResourceOptions | None = None
    ) -> ConstructResult:
        """Makes the component and its children.

        Raises:
            InputPropertiesError: an argument that pulumi-eks does not have, of the wrong type, or that another one
                excludes; or a component that the sandbox does not play.
        """
        if resource_type != CLUSTER:
            hint = (
                "the sandbox plays eks.Cluster alone; for node groups use aws.eks.NodeGroup, for add-ons aws.eks.Addon"
            )
            raise _refusal(resource_type, name, [CheckFailure("", hint)])
        failures = _check(inputs)
        if failures:
            raise _refusal(resource_type, name, failures)
        cluster = Cluster(name, inputs, options)
        return ConstructResult(cluster.urn, cluster.state)

    def call(self, token: str, args: Inputs) -> CallResult:
        """The component's one method, `getKubeconfig`."""
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
        f"{token} {name!r} cannot be made",
        [{"property_path": failure.property, "reason": failure.reason} for failure in failures],
    )


def _check(inputs: Mapping[str, Any]) -> list[CheckFailure]:
    props = _plain(inputs)
    if isinstance(props.get("storageClasses"), dict):
        # Pulumi's own reading of the SDK's types takes `str | Mapping[…]` for `str`; the API server checks the map.
        del props["storageClasses"]
    return Schema("eks").check_inputs(CLUSTER, props) or conflicts(inputs)


def _plain(value: Any) -> Any:
    """Inputs as the schema takes them: what is not known yet, and references to other resources, as `UNKNOWN`."""
    if isinstance(value, (Output, Resource)):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # Pulumi's SDK reads every number of the wire as a float.
    return int(value) if isinstance(value, float) and value.is_integer() else value


if __name__ == "__main__":
    guard_pulumi()
    serve(EksProvider(), sys.argv[1:])
