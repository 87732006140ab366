"""Stacks with options that the examples do not use, so that the tables of permissions include theirs."""

from __future__ import annotations

import copy
from typing import Any

from recording.stacks import record, settings

from .facts import Stack

_OF = "dev-gke"
HOST = "host-project"
_CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "`secretsKey: new`": {"gpuyard:cluster": {"secretsKey": "new"}},
    "`keda: true`": {"gpuyard:platforms": {"keda": True}},
    "`existing` with `grant`": {
        "gpuyard:network": {
            "cidr": None,
            "existing": {"network": "shared", "subnetwork": "gpus", "hostProject": HOST, "grant": True},
        }
    },
}


def recorded() -> list[Stack]:
    """A stack for each choice, which is its name."""
    return [Stack(name, record(_changed(changes), _OF, outputs=_answers())) for name, changes in _CHOICES.items()]


def _changed(changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The example's config with these keys of its sections; None removes one."""
    config = copy.deepcopy(settings(_OF))
    for section, values in changes.items():
        merged = {**config.get(section, {}), **values}
        config[section] = {key: value for key, value in merged.items() if value is not None}
    return config


def _answers() -> dict[str, Any]:
    """Google's answers about the existing network."""

    def subnetwork(args: dict[str, Any]) -> dict[str, Any]:
        return {
            **args,
            "id": "subnetwork",
            "network": f"projects/{args['project']}/global/networks/shared",
            "ipCidrRange": "10.0.0.0/20",
            "privateIpGoogleAccess": True,
            "secondaryIpRanges": [
                {"rangeName": "pods", "ipCidrRange": "10.64.0.0/14"},
                {"rangeName": "services", "ipCidrRange": "10.68.0.0/20"},
            ],
        }

    return {
        "gcp:compute/getNetwork:getNetwork": lambda args: {**args, "id": "network"},
        "gcp:compute/getSubnetwork:getSubnetwork": subnetwork,
    }
