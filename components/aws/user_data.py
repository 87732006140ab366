"""User data of EKS nodes: what a node does at boot beyond joining, which EKS adds by itself.

Non-goals: the cluster's address and certificate, packages, scripts. tests/golden holds the rendered text.
"""

import base64

# nodeadm stripes the disks, mounts them and binds the kubelet's, containerd's and the pods' log folders there
# (awslabs/amazon-eks-ami, nodeadm/doc/api.md, LocalStorageOptions).
_NODEADM = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="gpuyard"

--gpuyard
Content-Type: application/node.eks.aws

---
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: RAID0

--gpuyard--
"""

# The same on Bottlerocket, from version 1.22 on (bottlerocket, CHANGELOG.md, bootstrap-commands).
_BOTTLEROCKET = """\
[settings.bootstrap-commands.gpuyard-scratch]
commands = [
  ["apiclient", "ephemeral-storage", "init"],
  ["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"]
]
essential = true
mode = "always"
"""


def render(image: str, scratch: bool) -> str | None:
    """The user data as text, or None when a node needs none. `scratch`: pods' ephemeral storage is on local NVMe."""
    if not scratch:
        return None
    return _BOTTLEROCKET if image == "bottlerocket" else _NODEADM


def encoded(image: str, scratch: bool) -> str | None:
    """`render` as a launch template takes it."""
    text = render(image, scratch)
    return base64.b64encode(text.encode()).decode() if text else None
