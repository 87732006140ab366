"""Labels and taints of nodes that GKE or Kubernetes sets, as opposed to those of Google's domains that users set.

Sources: system_labels.go of GKE's autoscaler (GoogleCloudPlatform/cluster-autoscaler, 2026-08): what GKE sets on nodes;
the errors of its API for the others: "managed by GKE or Kubernetes and must not be manually specified"
(terraform-provider-google#19677), "Applying kubernetes label is not allowed" (terraform-provider-google#6003).
"""

from collections.abc import Iterator, Sequence

from .. import hardware
from ..checks import Problem
from ..taints import COMPUTE_CLASS, GPU_KEY, Taint, gpu_taint
from .pool_spec import NETWORK_PROFILE_LABEL, GkeNodePoolSpec

# Domains of Kubernetes, including its labels of the node lifecycle: GKE refuses their keys.
_KUBERNETES = ("kubernetes.io", "k8s.io")
# Domains in which GKE sets every key.
_DOMAINS = ("disk-type.gke.io", "supported-cpu-platform.cloud.google.com", "sandbox.gke.io", "topology.gke.io")
_GOOGLE = "cloud.google.com/"
_NAMES = """
gke-accelerator gke-accelerator-count gke-boot-disk gke-boot-disk-size gke-boot-disk-encryption-key
gke-confidential-nodes gke-confidential-nodes-instance-type gke-container-runtime gke-cpu-scaling-level
gke-ephemeral-storage-local-ssd gke-flex-start gke-gpu gke-gpu-driver-version gke-gpu-partition-size
gke-gpu-sharing-strategy gke-max-pods-per-node gke-max-run-duration-seconds gke-max-shared-clients-per-gpu
gke-memory-gb-scaling-level gke-netd-ready gke-nodepool gke-os-distribution gke-placement-group gke-preemptible
gke-provisioning gke-queued gke-spot gke-tpu-accelerator gke-tpu-topology machine-family placement-policy-name
private-node requested-min-cpu-platform reservation-affinity reservation-blocks reservation-name
reservation-project reservation-subblocks reservation-zone
"""
_LABELS = frozenset(f"{_GOOGLE}{name}" for name in _NAMES.split()) | {
    NETWORK_PROFILE_LABEL,
    "iam.gke.io/gke-metadata-server-enabled",
}
_TAINTS = frozenset({f"{_GOOGLE}gke-queued", f"{_GOOGLE}not-target-gke-version"})


def problems(spec: GkeNodePoolSpec) -> Iterator[Problem]:
    """Labels and taints that GKE refuses or sets, and taints that conflict."""
    yield from _own([(f"labels.{key}", key) for key in spec.get("labels", {})], _LABELS)
    taints = spec.get("taints", [])
    yield from _own([(f"taints[{index}].key", taint["key"]) for index, taint in enumerate(taints)], _TAINTS)
    yield from _collisions(taints)


def _own(found: Sequence[tuple[str, str]], gkes: frozenset[str]) -> Iterator[Problem]:
    for path, key in found:
        domain = key.rpartition("/")[0]
        if any(domain == system or domain.endswith(f".{system}") for system in _KUBERNETES):
            yield Problem(
                path, key, "a key of Kubernetes, which GKE refuses", "keys without a domain, or with your own domain",
                "rename the key",
            )  # fmt: skip
        elif key == COMPUTE_CLASS:
            yield Problem(
                path, key, "set by gpuyard on pools with more than one rung, and read by GKE", "nothing",
                "remove it; pods tolerate the key, or select the pool by gpuyard.dev/pool",
            )  # fmt: skip
        elif key in gkes or domain in _DOMAINS:
            yield Problem(
                path, key, "GKE sets it from the other fields of the pool",
                "keys without a domain, with your own domain, or those of Google's that users set", "remove it",
            )  # fmt: skip


def _collisions(taints: Sequence[Taint]) -> Iterator[Problem]:
    gpu = gpu_taint(hardware.GCP)
    first: dict[tuple[str, str], int] = {}
    for index, taint in enumerate(taints):
        if (other := first.setdefault(_identity(taint), index)) != index:
            yield Problem(
                f"taints[{index}]", taint["key"], f"the same key and effect as taints[{other}]",
                "each pair once", "remove one of them",
            )  # fmt: skip
        for field, meant in (("value", gpu.get("value", "")), ("effect", gpu["effect"])):
            if taint["key"] == GPU_KEY and (given := taint.get(field, "")) != meant:
                yield Problem(
                    f"taints[{index}].{field}", given,
                    f"conflicts with {GPU_KEY}={gpu.get('value')}:{gpu['effect']}, which GKE sets automatically", meant,
                    "remove the taint: GKE sets it",
                )  # fmt: skip


def _identity(taint: Taint) -> tuple[str, str]:
    return taint["key"], taint["effect"]
