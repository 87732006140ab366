"""User data of EKS nodes: what a node does at boot in addition to joining. For its own images EKS adds how to join.

It does not install packages, and has no scripts of other vendors. tests/golden has the rendered text.
"""

import base64
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from .node_settings import merged

# nodeadm stripes the disks, mounts them and binds the kubelet's, containerd's and the pods' log folders there
# (awslabs/amazon-eks-ami, nodeadm/doc/api.md, LocalStorageOptions).
_SCRATCH = {"instance": {"localStorage": {"strategy": "RAID0"}}}

# The device plugin decides by mounts which GPUs a container gets. The variable NVIDIA_VISIBLE_DEVICES, which every CUDA
# image sets to `all`, counts only with CAP_SYS_ADMIN. Bottlerocket has these settings by default (bottlerocket#3718).
# AL2023's toolkit by default ignores mounts; it accepts the variable from every container before release v20260423, and
# only with CAP_SYS_ADMIN from then on (amazon-eks-ami#2706): pods see all GPUs of their node, or none. cloud-init runs
# the script before the kubelet starts (nodeadm-run.service: After=cloud-final.service).
_GPU_ACCESS = """\
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/sh
exec nvidia-ctk config --in-place \\
  --set accept-nvidia-visible-devices-as-volume-mounts=true \\
  --set accept-nvidia-visible-devices-envvar-when-unprivileged=false
"""

# The same as RAID0, for Bottlerocket 1.22 and later (bottlerocket, CHANGELOG.md, bootstrap-commands).
_BOTTLEROCKET = """\
[settings.bootstrap-commands.gpuyard-scratch]
commands = [
  ["apiclient", "ephemeral-storage", "init"],
  ["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"]
]
essential = true
mode = "always"
"""


LIMIT = 16_384
"""Bytes of user data that EC2 accepts before base64 (RunInstances, CreateLaunchTemplate)."""


@dataclass(frozen=True)
class Join:
    """What a node with an image that is not EKS's needs to find its cluster, and what its kubelet registers. EKS adds
    nothing to the user data of such nodes."""

    cluster_name: str
    """Name of the cluster."""
    endpoint: str
    """URL of the API server."""
    certificate: str
    """Certificate of the cluster's CA in base64."""
    service_cidr: str
    """IPv4 range of the Services."""
    labels: Mapping[str, str]
    """Labels of the node."""
    taints: list[str]
    """Taints of the node as a kubelet spells them: KEY=VALUE:EFFECT."""
    pods: int
    """Most pods on the node. nodeadm's own number does not consider prefix delegation (amazon-eks-ami#2045)."""


def render(
    image: str, *, scratch: bool, gpus: bool, settings: Mapping[str, Any] | None = None, join: Join | None = None
) -> str | None:
    """The user data as text, or None if a node needs none.

    Args:
        image: al2023 or bottlerocket.
        scratch: whether pods' ephemeral storage is on local NVMe.
        gpus: whether the node has GPUs.
        settings: the pool's `node_settings`.
        join: for an image that is not EKS's.
    """
    given = settings or {}
    if image == "bottlerocket":
        wanted = merged(_bottlerocket_join(join), given)
        parts = [*_toml("settings", wanted), *([_BOTTLEROCKET] if scratch else [])]
        return "\n".join(parts) or None
    spec = merged(merged(_SCRATCH if scratch else {}, _node_join(join)), given)
    parts = ([_node_config(spec)] if spec else []) + ([_GPU_ACCESS] if gpus else [])
    if not parts:
        return None
    mime = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="gpuyard"\n'
    return mime + "".join(f"\n--gpuyard\n{part}" for part in parts) + "\n--gpuyard--\n"


def most(image: str, *, labels: Mapping[str, str], taints: list[str], settings: Mapping[str, Any]) -> int:
    """The most bytes that the user data of such nodes can have, with what EKS or gpuyard adds so that they join. A
    certificate has about 1,500 bytes in base64."""
    join = Join("x" * 100, "x" * 100, "x" * 1_800, "172.20.0.0/16", labels, taints, 250)
    return len((render(image, scratch=True, gpus=True, settings=settings, join=join) or "").encode())


def encoded(text: str | None) -> str | None:
    """The text of `render` in base64, as a launch template needs it."""
    return base64.b64encode(text.encode()).decode() if text else None


def _node_config(spec: Mapping[str, Any]) -> str:
    document = {"apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec}
    return f"Content-Type: application/node.eks.aws\n\n---\n{yaml.safe_dump(document, sort_keys=False)}"


def _node_join(join: Join | None) -> dict[str, Any]:
    if join is None:
        return {}
    labels = ",".join(f"{key}={value}" for key, value in join.labels.items())
    flags = [f"--node-labels={labels}", f"--register-with-taints={','.join(join.taints)}"]
    return {
        "cluster": {
            "name": join.cluster_name,
            "apiServerEndpoint": join.endpoint,
            "certificateAuthority": join.certificate,
            "cidr": join.service_cidr,
        },
        "kubelet": {
            "config": {"maxPods": join.pods},
            "flags": [flag for flag in flags if not flag.endswith("=")],
        },
    }


def _bottlerocket_join(join: Join | None) -> dict[str, Any]:
    if join is None:
        return {}
    taints: dict[str, list[str]] = {}
    for taint in join.taints:
        key, _, rest = taint.partition("=")
        taints.setdefault(key, []).append(rest)
    return {
        "kubernetes": {
            "api-server": join.endpoint,
            "cluster-certificate": join.certificate,
            "cluster-name": join.cluster_name,
            # The tenth address of the Services' range is the cluster's DNS.
            "cluster-dns-ip": str(ipaddress.IPv4Network(join.service_cidr)[10]),
            "max-pods": join.pods,
            "node-labels": dict(join.labels),
            "node-taints": taints,
        }
    }


def _toml(table: str, values: Mapping[str, Any]) -> Iterator[str]:
    """A TOML table with the tables inside it."""
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    if plain:
        yield f"[{table}]\n" + "".join(f"{_bare(key)} = {_inline(value)}\n" for key, value in plain.items())
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _toml(f"{table}.{_bare(key)}", value)


def _inline(value: Any) -> str:
    """A value on one line. Numbers, booleans and text are written as in JSON; maps in lists are not."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_bare(key)} = {_inline(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    # TOML does not know surrogate pairs, which JSON uses for characters of more than 16 bits.
    return json.dumps(value, ensure_ascii=False)


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
