"""The Cloud KMS key with which GKE encrypts a cluster's secrets before it stores them.

It is optional, unlike on EKS: each read of a secret becomes a call of Cloud KMS, a cluster whose key is disabled does
not work, and a key ring can never be deleted. Without a key Google encrypts the storage with its own. When the key is
removed from the arguments, the cluster is switched back to Google's encryption before the key is destroyed; a key that
was created here can be restored for 30 days.
"""

import re
from collections.abc import Iterator

import pulumi
import pulumi_gcp as gcp

from ..checks import Problem
from . import identity

NEW = "new"
"""Instead of a key's name: a key is created for the cluster."""

USER = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
_KEY = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_ROTATION = f"{90 * 24 * 3600}s"
# Data that was encrypted with a key is lost with it; until then the key can be restored.
_UNTIL_DESTROYED = f"{30 * 24 * 3600}s"


def problems(key: str, region: str) -> Iterator[Problem]:
    """What is wrong with `secrets_key` of a cluster in `region`."""
    if key != NEW:
        yield from name_problems("secrets_key", key, region, "new, or ")


def name_problems(path: str, key: str, region: str, other: str = "") -> Iterator[Problem]:
    """What is wrong with the full name of a key in `region`; '' is none. `other`: what else is allowed."""
    allowed = f"{other}projects/PROJECT/locations/{region}/keyRings/RING/cryptoKeys/KEY"
    found = _KEY.fullmatch(key)
    if key and found is None:
        yield Problem(path, key, "not the full name of a key", allowed, "see `gcloud kms keys list --keyring RING`")
    elif found and found["location"] != region:
        yield Problem(
            path, key, f"is in {found['location']}, and the cluster is in {region}", allowed,
            f"name a key in {region}{', or write new' if other else ''}",
        )  # fmt: skip


def database_encryption(
    name: str,
    key: str,
    project: pulumi.Input[str],
    region: str,
    protected: bool,
    tags: dict[str, str],
    parent: pulumi.Resource,
    agents: identity.Agents | None = None,
) -> tuple[gcp.container.ClusterDatabaseEncryptionArgs, list[pulumi.Resource]]:
    """The cluster's setting, and the resources that it needs first. `protected`: Pulumi refuses to delete a key that
    is created here."""
    if not key:
        # If omitted, the cluster stays encrypted with a key that Pulumi then destroys, and the cluster is lost.
        return gcp.container.ClusterDatabaseEncryptionArgs(state="DECRYPTED"), []
    child = pulumi.ResourceOptions(parent=parent)
    key_id: pulumi.Input[str] = key
    if key == NEW:
        ring = gcp.kms.KeyRing(f"{name}-secrets", project=project, location=region, opts=child)
        key_id = gcp.kms.CryptoKey(
            f"{name}-secrets",
            key_ring=ring.id,
            rotation_period=_ROTATION,
            destroy_scheduled_duration=_UNTIL_DESTROYED,
            labels=tags,
            # Without the key the cluster does not start.
            opts=pulumi.ResourceOptions(parent=parent, protect=protected),
        ).id
    member = gcp.kms.CryptoKeyIAMMember(
        f"{name}-secrets-user",
        crypto_key_id=key_id,
        role=USER,
        member=(agents or identity.agents(name, project, parent)).gke,
        opts=child,
    )
    return gcp.container.ClusterDatabaseEncryptionArgs(state="ENCRYPTED", key_name=key_id), [member]
