"""Physical names within the clouds' limits: a long name is cut and gets a hash, so that two names never become the
same."""

import hashlib
import re

# AWS IAM: role names up to 64 characters, policies 128; EKS clusters 100, node groups 63 (API models of iam and eks).
IAM_ROLE_LIMIT = 64
IAM_POLICY_LIMIT = 128
# The provider appends 26 digits to the prefix of a node group's name, and the name may have 63 characters.
NODE_GROUP_PREFIX_LIMIT = 63 - 26
# GKE: cluster and node pool names up to 40 characters (container.v1); Pulumi's auto-name adds 8 to the logical name.
GKE_NAME_LIMIT = 40
# Most other names on Google Cloud.
GOOGLE_LIMIT = 63
# Google service account ids: 6 to 30 characters (iam.v1).
SERVICE_ACCOUNT_LIMIT = 30
# Ids of Google projects, including those with a domain; a project number is not an id (Resource Manager, "Creating and
# managing projects").
GOOGLE_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][-a-z0-9]{4,28}[a-z0-9]")


def fit(name: str, limit: int) -> str:
    """`name` if it has at most `limit` characters, else its beginning and six hexadecimal digits of its hash."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 7].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
