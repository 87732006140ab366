"""The key with which Compute Engine encrypts the disks of nodes and of claims (which Google encrypts anyway).

Always one that is there already, and outlives the environment: disks that are kept could not be read without it.
Source: GKE's "Use customer-managed encryption keys (CMEK)".
"""

import pulumi
import pulumi_gcp as gcp

from . import identity, secrets_key


def usable(name: str, key: str, agents: identity.Agents, parent: pulumi.Resource) -> pulumi.Output[str]:
    """The key, once Compute Engine may use it."""
    member = gcp.kms.CryptoKeyIAMMember(
        f"{name}-disks-user",
        crypto_key_id=key,
        role=secrets_key.USER,
        member=agents.compute,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    # The role, not the id, is known at preview: else one that adds it would show every pool as one to be replaced.
    return pulumi.Output.all(key, member.role).apply(lambda values: values[0])
