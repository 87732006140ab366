"""PersistentVolumes that are written down: whose claim takes them."""

import pulumi_kubernetes as k8s


def reserved(claim: str, namespace: str) -> k8s.core.v1.ObjectReferenceArgs | None:
    """A volume's `claimRef`: the claim of that name in that namespace and no other; None leaves the volume to the first
    claim that names it, whatever its namespace."""
    if not namespace:
        return None
    return k8s.core.v1.ObjectReferenceArgs(
        api_version="v1", kind="PersistentVolumeClaim", namespace=namespace, name=claim
    )
