"""Pulumi's own host of dynamic resources, extended to reach the sandbox's GKE clusters by their names.

A cluster with a DNS endpoint has a kubeconfig with a host name that does not resolve here. Like the simulated
kubernetes provider (kubeconfig.py), this host replaces the name with the control plane's address, after the same
checks.
"""

from __future__ import annotations

import json
import runpy

import yaml

from components.cleanup import cluster_api
from sandbox.plugins.peer import guard_pulumi


def by_number(kubeconfig: str) -> str:
    """The kubeconfig with the address and the CA of the cluster that its host name refers to; others are unchanged.

    Raises:
        cluster_api.Refused: the real cluster would refuse the kubeconfig.
        cluster_api.Unreachable: the cluster does not answer.
    """
    # Imported late: a preview contacts no cluster.
    from sandbox.plugins import kubeconfig as kubeconfigs
    from sandbox.plugins.provider import ProviderError

    try:
        parsed = kubeconfigs.parse(kubeconfig)
        plane = kubeconfigs.find(parsed)
    except kubeconfigs.Unreachable as error:
        raise cluster_api.Unreachable(str(error)) from None
    except ProviderError as error:
        raise cluster_api.Refused(str(error)) from None
    if plane is None or parsed.server == plane.endpoint:
        return kubeconfig
    document = yaml.safe_load(kubeconfig)
    for each in document["clusters"]:
        if each["cluster"]["server"].rstrip("/") == parsed.server:
            each["cluster"] |= {"server": plane.endpoint, "certificate-authority-data": plane.ca_data}
    return json.dumps(document)


class _Api(cluster_api.Api):
    def __init__(self, kubeconfig: str) -> None:
        super().__init__(by_number(kubeconfig))


if __name__ == "__main__":
    cluster_api.Api = _Api
    guard_pulumi()
    runpy.run_module("pulumi.dynamic", run_name="__main__")
