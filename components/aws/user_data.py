"""User data of EKS nodes: what a node does at boot beyond joining, which EKS adds itself.

Non-goals: the cluster's address and certificate, packages. tests/golden holds the rendered text.
"""

import base64

# nodeadm stripes the disks, mounts them and binds the kubelet's, containerd's and the pods' log folders there
# (awslabs/amazon-eks-ami, nodeadm/doc/api.md, LocalStorageOptions).
_SCRATCH = """\
Content-Type: application/node.eks.aws

---
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: RAID0
"""

# Which GPUs a container gets is the device plugin's to say, by mounts; a container's own NVIDIA_VISIBLE_DEVICES, which
# every CUDA image sets to `all`, counts with CAP_SYS_ADMIN only. Bottlerocket is so from the start (bottlerocket#3718).
# AL2023's toolkit takes no mounts by default, and takes that variable from everybody before the release v20260423 and
# from nobody without CAP_SYS_ADMIN from then on (amazon-eks-ami#2706): pods see all GPUs of their node, or none.
# cloud-init is through with it before the kubelet starts (nodeadm-run.service: After=cloud-final.service).
_GPU_ACCESS = """\
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/sh
exec nvidia-ctk config --in-place \\
  --set accept-nvidia-visible-devices-as-volume-mounts=true \\
  --set accept-nvidia-visible-devices-envvar-when-unprivileged=false
"""

# The same as RAID0 on Bottlerocket, from version 1.22 on (bottlerocket, CHANGELOG.md, bootstrap-commands).
_BOTTLEROCKET = """\
[settings.bootstrap-commands.gpuyard-scratch]
commands = [
  ["apiclient", "ephemeral-storage", "init"],
  ["apiclient", "ephemeral-storage", "bind", "--dirs", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/pods"]
]
essential = true
mode = "always"
"""


def render(image: str, *, scratch: bool, gpus: bool) -> str | None:
    """The user data as text, or None when a node needs none. `scratch`: pods' ephemeral storage is on local NVMe;
    `gpus`: the node has GPUs."""
    if image == "bottlerocket":
        return _BOTTLEROCKET if scratch else None
    parts = [part for part, wanted in ((_SCRATCH, scratch), (_GPU_ACCESS, gpus)) if wanted]
    if not parts:
        return None
    mime = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="gpuyard"\n'
    return mime + "".join(f"\n--gpuyard\n{part}" for part in parts) + "\n--gpuyard--\n"


def encoded(image: str, *, scratch: bool, gpus: bool) -> str | None:
    """`render` as a launch template takes it."""
    text = render(image, scratch=scratch, gpus=gpus)
    return base64.b64encode(text.encode()).decode() if text else None
