"""docs/security.md: the roles for deployments to Google Cloud allow every call of the stacks, and not much else."""

from __future__ import annotations

import functools
import re

import pytest
import yaml

from pages.picture.gcp import choices
from recording.stacks import GKE, recorded
from sandbox.paths import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
GRANTS = "gcp:projects/iAMMember:IAMMember"
PREDEFINED = {
    "roles/container.admin": ("container.",),
    "roles/resourcemanager.projectIamAdmin": (
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIam",
    ),
}
# Type of resource or look-up → the permissions to create, read, change and delete it. Sources: "IAM
# permissions" in the reference of each method of the API, and, for what a provider calls, terraform-provider-google
# (google/services/*/resource_*.go).
NEEDED: dict[str, str] = {
    # batchEnable, and list in place of get; the project is looked up first. Nothing is disabled.
    "gcp:projects/service:Service": """
        resourcemanager.projects.get serviceusage.services.enable serviceusage.services.get serviceusage.services.list
        serviceusage.operations.get""",
    # "Triggering service agent creation doesn't require any IAM permissions" (IAM, "Create service agents").
    "gcp:projects/serviceIdentity:ServiceIdentity": "serviceusage.operations.get",
    GRANTS: "resourcemanager.projects.getIamPolicy resourcemanager.projects.setIamPolicy",
    "gcp:organizations/getProject:getProject": "resourcemanager.projects.get",
    "gcp:compute/network:Network": """
        compute.networks.create compute.networks.get compute.networks.update compute.networks.delete
        compute.globalOperations.get""",
    # Changes of a network's parts need updatePolicy on it.
    "gcp:compute/subnetwork:Subnetwork": """
        compute.subnetworks.create compute.subnetworks.get compute.subnetworks.update compute.subnetworks.delete
        compute.subnetworks.expandIpCidrRange compute.subnetworks.setPrivateIpGoogleAccess
        compute.networks.updatePolicy compute.regionOperations.get""",
    "gcp:compute/router:Router": """
        compute.routers.create compute.routers.get compute.routers.update compute.routers.delete
        compute.networks.updatePolicy compute.regionOperations.get""",
    # A part of its router.
    "gcp:compute/routerNat:RouterNat": "compute.routers.get compute.routers.update compute.regionOperations.get",
    "gcp:compute/getMachineTypes:getMachineTypes": "compute.machineTypes.list",
    "gcp:compute/getInstanceGroup:getInstanceGroup": "compute.instanceGroups.get",
    # The deployer must be allowed to act as the nodes' account (GKE, "Use least privilege service accounts").
    "gcp:container/cluster:Cluster": """
        container.clusters.create container.clusters.get container.clusters.update container.clusters.delete
        container.operations.get iam.serviceAccounts.actAs compute.instanceGroupManagers.get""",
    # The provider counts a pool's nodes by its groups (flattenNodePool).
    "gcp:container/nodePool:NodePool": """
        container.clusters.get container.clusters.update container.operations.get iam.serviceAccounts.actAs
        compute.instanceGroupManagers.get""",
    "gcp:container/getEngineVersions:getEngineVersions": "container.clusters.list",
    "gcp:serviceaccount/account:Account": """
        iam.serviceAccounts.create iam.serviceAccounts.get iam.serviceAccounts.update iam.serviceAccounts.delete""",
    "gcp:filestore/instance:Instance": """
        file.instances.create file.instances.get file.instances.update file.instances.delete file.operations.get""",
    # A key ring is never deleted; of a key, the versions are destroyed, and its rotation ends.
    "gcp:kms/keyRing:KeyRing": "cloudkms.keyRings.create cloudkms.keyRings.get",
    "gcp:kms/cryptoKey:CryptoKey": """
        cloudkms.cryptoKeys.create cloudkms.cryptoKeys.get cloudkms.cryptoKeys.update
        cloudkms.cryptoKeyVersions.list cloudkms.cryptoKeyVersions.destroy""",
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": """
        cloudkms.cryptoKeys.getIamPolicy cloudkms.cryptoKeys.setIamPolicy""",
}
# On objects outside the project: the second table.
ELSEWHERE: dict[str, str] = {
    "gcp:storage/bucketIAMMember:BucketIAMMember": "storage.buckets.getIamPolicy storage.buckets.setIamPolicy",
    "gcp:compute/subnetworkIAMMember:SubnetworkIAMMember": """
        compute.subnetworks.getIamPolicy compute.subnetworks.setIamPolicy""",
    # In roles/compute.networkUser.
    "gcp:compute/getNetwork:getNetwork": "",
    "gcp:compute/getSubnetwork:getSubnetwork": "",
}
# Called only if the environment exists.
LATER = {"gcp:compute/getInstanceGroup:getInstanceGroup"}


def part(name: str) -> dict[str, object]:
    """The document on the page."""
    found = re.search(rf"<!-- {name} -->\n```yaml\n(.*?)```\n<!-- {name} end -->", PAGE, re.DOTALL)
    assert found, name
    return yaml.safe_load(found[1])


def allowed() -> list[str]:
    permissions = part("deployer role")["includedPermissions"]
    assert isinstance(permissions, list)
    return permissions


@functools.cache
def kinds() -> frozenset[str]:
    """Types of resources and lookups of all stacks on GKE, and of settings that none of them uses."""
    found = set(LATER)
    for made in [*map(recorded, GKE), *(stack.made for stack in choices.recorded())]:
        found |= {each.type for each in made.resources.values() if each.package == "gcp"}
        found |= {call.token for call in made.invokes}
    return frozenset(kind for kind in found if not kind.startswith("pulumi:"))


def test_every_type_of_resource_has_a_list_of_permissions() -> None:
    """security case M6: the list is complete, and has no obsolete entries."""
    assert kinds() == NEEDED.keys() | ELSEWHERE.keys()


def test_every_call_of_the_stacks_is_allowed() -> None:
    """security case M6."""
    has = allowed()
    predefined = tuple(start for starts in PREDEFINED.values() for start in starts)
    needed = {permission: kind for kind, text in NEEDED.items() for permission in text.split()}
    missing = {name: kind for name, kind in needed.items() if name not in has and not name.startswith(predefined)}
    assert missing == {}
    for role in PREDEFINED:
        assert f"`{role}`" in PAGE


def test_every_allowed_permission_is_needed() -> None:
    """security case M6: no permission is obsolete, and none gives access to the whole project."""
    needed = {permission for text in NEEDED.values() for permission in text.split()}
    assert set(allowed()) - needed == set()
    assert len(allowed()) == len(set(allowed()))
    assert not [name for name in allowed() if name.startswith(("resourcemanager.projects.set", "iam.roles."))]
    assert "iam.serviceAccounts.getAccessToken" not in allowed() and "iam.serviceAccountKeys.create" not in allowed()


def test_the_deployer_can_grant_only_the_roles_of_the_stacks() -> None:
    """security case M6: with projectIamAdmin without a condition, the deployer could become the owner."""
    stacks = [*map(recorded, GKE), *(stack.made for stack in choices.recorded())]
    granted = {each.inputs["role"]: each.inputs["project"] for made in stacks for each in made.all(GRANTS)}
    own = {role for role, project in granted.items() if project != choices.HOST}
    expression = str(part("deployer condition")["expression"])
    match = re.fullmatch(
        r"api\.getAttribute\('iam\.googleapis\.com/modifiedGrantsByRole', \[\]\)\.hasOnly\(\[(.*)\]\)", expression
    )
    assert match and set(re.findall(r"'([^']+)'", match[1])) == own
    # IAM takes up to ten in the list ("Set limits on granting roles").
    assert len(own) <= 10
    for role in granted.keys() - own:
        assert f"with the condition for `{role}`" in PAGE


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_permissions_in_other_projects_are_in_their_table(kind: str) -> None:
    """security case M6."""
    for permission in ELSEWHERE[kind].split():
        assert f"`{permission}`" in PAGE and permission not in allowed()
