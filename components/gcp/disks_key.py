"""The Cloud KMS key with which Compute Engine encrypts the disks of nodes and of claims.

It is always an existing key that outlives the environment: disks that are kept could not be read without it. Without a
key Google encrypts the disks with its own.
Source: GKE's "Use customer-managed encryption keys (CMEK)".
"""

import pulumi
import pulumi_gcp as gcp

from . import identity, secrets_key


def usable(name: str, key: str, agents: identity.Agents, parent: pulumi.Resource) -> pulumi.Output[str]:
    """The key, known once Compute Engine may use it."""
    member = gcp.kms.CryptoKeyIAMMember(
        f"{name}-disks-user",
        crypto_key_id=key,
        role=secrets_key.USER,
        member=agents.compute,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    # The role is known at preview, the id is not: with the id, a preview that adds it would replace every pool.
    return pulumi.Output.all(key, member.role).apply(lambda values: values[0])
