"""The engine of the provider: refusals in a preview, and create, update and delete of objects of every type."""

from __future__ import annotations

import pytest

from sandbox.gcp.provider import GcpProvider
from sandbox.gcp.table import rows
from sandbox.plugins import journal
from sandbox.plugins.provider import UNKNOWN, ProviderError
from sandbox.tests.unit.gcp.refused_inputs import BAD
from sandbox.tests.unit.gcp.stage import (
    ACCOUNT,
    ACCOUNT_MEMBER,
    ADDRESS,
    BUCKET,
    CLUSTER,
    FILESTORE,
    KEY,
    NAT,
    NETWORK,
    PROJECT,
    PROJECT_MEMBER,
    RING,
    ROUTER,
    SERVICE,
    SUBNETWORK,
    urn,
)


@pytest.mark.parametrize(("token", "props", "path", "reason"), BAD, ids=[f"{b[0].split(':')[-1]}-{b[2]}" for b in BAD])
def test_a_preview_refuses(cloud, token, props, path, reason):
    failures = cloud.failures(token, props)
    assert [item for item in failures if item.property == path and reason in item.reason], failures


def test_the_error_for_a_missing_project_has_a_fix(store):
    provider = GcpProvider(store)
    provider.configure({"region": "us-central1"})
    _, failures = provider.check(NETWORK, urn(NETWORK, "net"), {}, {}, b"")
    assert [(item.property, "pulumi config set gcp:project" in item.reason) for item in failures] == [("project", True)]


@pytest.mark.parametrize(
    "config", [{"project": "My Project"}, {"region": "us-central9"}, {"zone": "us-central1-z"},
               {"region": "us-east1", "zone": "us-central1-a"}]
)  # fmt: skip
def test_a_wrong_provider_setting_is_refused(store, config):
    with pytest.raises(ProviderError, match="gcp:"):
        GcpProvider(store).configure(config)


def test_an_auto_name_is_generated_once_and_kept(cloud):
    inputs, failures = cloud.check(NETWORK, {}, "Main")
    assert not failures
    name = inputs["name"]
    assert name.startswith("main-") and len(name) == len("main-") + 7
    again, _ = cloud.provider.check(NETWORK, urn(NETWORK, "Main"), inputs, {}, b"another seed")
    assert again["name"] == name
    other, _ = cloud.provider.check(NETWORK, urn(NETWORK, "Main"), {}, {}, b"another seed")
    assert other["name"] != name


def test_an_auto_name_that_is_too_long_is_refused(cloud):
    _, failures = cloud.check(ACCOUNT, {}, "a-service-account-of-the-trainer")
    assert "maximum length 30" in failures[0].reason


def test_the_longest_pool_name_is_40(cloud):
    props = {"cluster": f"projects/{PROJECT}/locations/us-central1/clusters/c"}
    assert not cloud.check("gcp:container/nodePool:NodePool", props, "p" * 32)[1]
    assert "1-40" in cloud.check("gcp:container/nodePool:NodePool", props, "p" * 33)[1][0].reason


def test_unknown_values_pass_a_preview(cloud):
    inputs, failures = cloud.check(
        SUBNETWORK, {"network": UNKNOWN, "ipCidrRange": UNKNOWN, "secondaryIpRanges": UNKNOWN}
    )
    assert not failures
    id, outputs = cloud.provider.create(SUBNETWORK, urn(SUBNETWORK, "s"), inputs, True, 0)
    assert id == "" and outputs["selfLink"] is UNKNOWN and outputs["region"] == "us-central1"
    assert cloud.store.select() == [], "a preview makes nothing"


def test_a_network_is_created_updated_and_deleted(cloud):
    id, outputs = cloud.create(NETWORK, {"name": "net", "autoCreateSubnetworks": False, "routingMode": "REGIONAL"})
    assert id == f"projects/{PROJECT}/global/networks/net"
    assert outputs["selfLink"] == f"https://www.googleapis.com/compute/v1/{id}"
    assert outputs["routingMode"] == "REGIONAL"
    body = cloud.store.get("compute.networks", id)
    assert body["routingConfig"] == {"routingMode": "REGIONAL"} and "routingMode" not in body
    assert cloud.diff(id, routingMode="GLOBAL").replaces == []
    assert cloud.update(id, routingMode="GLOBAL")["routingMode"] == "GLOBAL"
    assert cloud.store.get("compute.networks", id)["routingConfig"] == {"routingMode": "GLOBAL"}
    diff = cloud.diff(id, description="x")
    assert diff.replaces == ["description"] and diff.delete_before_replace
    _, inputs, seen = cloud.read(id)
    assert inputs == cloud.made[id][2] and seen == cloud.made[id][3]
    cloud.delete(id)
    assert cloud.store.select() == []


@pytest.mark.parametrize(("named", "first"), [({}, False), ({"name": "net"}, True)])
def test_an_auto_named_object_is_replaced_without_a_gap(cloud, named, first):
    """As the engine does: the difference with the old name, the replacement without the old inputs."""
    given = {"autoCreateSubnetworks": False, **named}
    id, _ = cloud.create(NETWORK, given)
    token, name, inputs, outputs = cloud.made[id]
    changed, _ = cloud.check(token, {**given, "description": "x"}, name, inputs)
    diff = cloud.provider.diff(token, urn(token, name), id, inputs, outputs, changed)
    assert "description" in diff.replaces and diff.delete_before_replace is first
    renewed, _ = cloud.provider.check(token, urn(token, name), {}, given, b"another seed")
    assert (renewed["name"] == inputs["name"]) is first


def test_the_id_is_recorded_before_the_object_is_created(cloud, tmp_path):
    (tmp_path / "run").mkdir()
    id, _ = cloud.create(NETWORK, {"name": "net"})
    assert journal.ids() == {urn(NETWORK, "thing"): id}


def test_a_taken_name_is_refused(cloud, network):
    with pytest.raises(ProviderError, match=r"Error creating Network: googleapi: Error 409: .*alreadyExists"):
        cloud.create(NETWORK, {"name": "net"})


def test_a_network_in_use_cannot_be_deleted(cloud, network, subnetwork):
    with pytest.raises(ProviderError, match="resourceInUseByAnotherResource"):
        cloud.delete(network)
    cloud.delete(subnetwork)
    cloud.delete(network)


def test_deleting_a_missing_object_is_not_an_error(cloud, network):
    cloud.store.delete("compute.networks", network)
    assert cloud.read(network) is None
    cloud.delete(network)


def test_drift_shows_in_inputs_and_outputs(cloud, network, subnetwork):
    cloud.store.update("compute.subnetworks", subnetwork, lambda body: {**body, "privateIpGoogleAccess": True})
    _, inputs, outputs = cloud.read(subnetwork)
    assert outputs["privateIpGoogleAccess"] is True
    assert "privateIpGoogleAccess" not in inputs, "an input that the program does not set is the cloud's"

    def shrink(body):
        return {**body, "secondaryIpRanges": body["secondaryIpRanges"][:1]}

    cloud.store.update("compute.subnetworks", subnetwork, shrink)
    _, inputs, _ = cloud.read(subnetwork)
    assert [item["rangeName"] for item in inputs["secondaryIpRanges"]] == ["pods"]
    assert inputs["network"] == network


def test_a_removed_setting_shows_as_drift(cloud, network):
    id, _ = cloud.create(ROUTER, {"name": "r", "network": network, "description": "mine"})
    cloud.store.update("compute.routers", id, lambda body: {k: v for k, v in body.items() if k != "description"})
    _, inputs, outputs = cloud.read(id)
    assert "description" not in inputs and "description" not in outputs


def test_a_subnetwork_grows_in_place_and_is_replaced_to_shrink(cloud, network, subnetwork):
    assert cloud.diff(subnetwork, ipCidrRange="10.0.0.0/19").replaces == []
    assert cloud.diff(subnetwork, ipCidrRange="10.0.0.0/21").replaces == ["ipCidrRange"]
    assert cloud.diff(subnetwork, ipCidrRange="10.16.0.0/20").replaces == ["ipCidrRange"]


def test_subnetworks_of_a_network_do_not_overlap(cloud, network, subnetwork):
    with pytest.raises(ProviderError, match="conflicts with existing subnetwork 'nodes' in region 'us-central1'"):
        cloud.create(SUBNETWORK, {"name": "more", "network": network, "ipCidrRange": "10.5.0.0/24"})
    other, _ = cloud.create(NETWORK, {"name": "other"})
    cloud.create(SUBNETWORK, {"name": "more", "network": other, "ipCidrRange": "10.5.0.0/24"})


def test_the_same_network_by_url_is_not_a_change(cloud, network, subnetwork):
    assert cloud.diff(subnetwork, network=f"https://www.googleapis.com/compute/v1/{network}").changes == []


def test_a_nat_is_a_part_of_its_router(cloud, network):
    router, _ = cloud.create(ROUTER, {"name": "out", "network": network})
    nat = {"name": "nat", "router": "out", "natIpAllocateOption": "AUTO_ONLY"}
    nat["sourceSubnetworkIpRangesToNat"] = "ALL_SUBNETWORKS_ALL_IP_RANGES"
    id, outputs = cloud.create(NAT, nat)
    assert id == f"{PROJECT}/us-central1/out/nat" and outputs["udpIdleTimeoutSec"] == 30
    cloud.update(id, minPortsPerVm=128)
    assert cloud.store.get("compute.routers", router)["nats"][0]["minPortsPerVm"] == 128
    assert cloud.update(router, description="changed")["description"] == "changed"
    assert cloud.read(id)[2]["minPortsPerVm"] == 128, "a change of the router leaves its NATs alone"
    found = cloud.take(NAT, id)
    assert found and found[1]["natIpAllocateOption"] == "AUTO_ONLY"
    with pytest.raises(ProviderError, match="NAT 'nat' exists"):
        cloud.create(NAT, nat)
    assert cloud.diff(id, type="PRIVATE").replaces == ["type"]
    cloud.delete(id)
    assert cloud.store.get("compute.routers", router)["nats"] == []
    with pytest.raises(ProviderError, match="routers/nowhere' was not found"):
        cloud.create(NAT, {**nat, "router": "nowhere"})


@pytest.mark.parametrize(
    ("token", "props"),
    [
        (NETWORK, {"name": "net", "autoCreateSubnetworks": False}),
        (ADDRESS, {"name": "ip", "labels": {"a": "b"}}),
        (ACCOUNT, {"accountId": "trainer", "displayName": "Trains"}),
        (BUCKET, {"name": "data-of-mine", "location": "EU", "uniformBucketLevelAccess": True, "labels": {"a": "b"}}),
        (RING, {"name": "ring", "location": "us-central1"}),
        (SERVICE, {"service": "container.googleapis.com"}),
        (PROJECT_MEMBER, {"project": PROJECT, "role": "roles/viewer", "member": "user:a@b.c"}),
    ],
    ids=lambda value: value.split(":")[-1] if isinstance(value, str) else "",
)
def test_an_import_gives_inputs_that_change_nothing(cloud, token, props):
    id, _outputs = cloud.create(token, props)
    found = cloud.take(token, id)
    assert found is not None
    taken, inputs, seen = found
    assert taken == id
    assert {key: inputs.get(key) for key in props} == props
    checked, failures = cloud.check(token, inputs)
    assert not failures
    diff = cloud.provider.diff(token, urn(token, "thing"), id, inputs, seen, checked)
    assert diff.changes == []
    assert cloud.take(token, id[: -len(id.rsplit("/", 1)[-1])] + "user:nothing-there") is None


def test_labels_carry_the_providers_own(store):
    provider = GcpProvider(store)
    provider.configure({"project": PROJECT, "region": "us-central1", "defaultLabels": {"env": "dev"}})
    inputs, failures = provider.check(ADDRESS, urn(ADDRESS, "a"), {}, {"name": "a", "labels": {"team": "ml"}}, b"")
    assert not failures
    id, outputs = provider.create(ADDRESS, urn(ADDRESS, "a"), inputs, False, 0)
    assert outputs["labels"] == {"team": "ml"}
    assert outputs["pulumiLabels"] == {"env": "dev", "team": "ml"}
    assert outputs["effectiveLabels"] == {"env": "dev", "team": "ml", "goog-pulumi-provisioned": "true"}
    assert store.get("compute.addresses", id)["labels"] == outputs["effectiveLabels"]
    store.update("compute.addresses", id, lambda body: {**body, "labels": {**body["labels"], "by": "hand"}})
    _, inputs, _ = provider.read(ADDRESS, urn(ADDRESS, "a"), id, inputs, outputs)  # type: ignore[misc]
    assert inputs["labels"] == {"team": "ml", "by": "hand"}


def test_deletion_policy_prevents_and_abandons(cloud):
    kept, _ = cloud.create(NETWORK, {"name": "kept", "deletionPolicy": "PREVENT"})
    with pytest.raises(ProviderError, match='without setting deletionPolicy="DELETE"'):
        cloud.delete(kept)
    left, _ = cloud.create(NETWORK, {"name": "left", "deletionPolicy": "ABANDON"})
    cloud.delete(left)
    assert cloud.store.find("compute.networks", left)


def test_members_share_a_policy(cloud):
    account, outputs = cloud.create(ACCOUNT, {"accountId": "trainer"})
    assert outputs["email"] == f"trainer@{PROJECT}.iam.gserviceaccount.com"
    first, _ = cloud.create(PROJECT_MEMBER, {"project": PROJECT, "role": "roles/viewer", "member": outputs["member"]})
    second, _ = cloud.create(PROJECT_MEMBER, {"project": PROJECT, "role": "roles/viewer", "member": "user:a@b.c"})
    policy = cloud.store.get("iam.policies", f"projects/{PROJECT}")
    assert policy["bindings"][0]["members"] == [outputs["member"], "user:a@b.c"]
    assert cloud.diff(first, role="roles/editor").replaces == ["role"]
    cloud.delete(first)
    assert cloud.read(second) is not None
    cloud.delete(second)
    assert cloud.store.select("iam.policies") == []
    cloud.delete(account)


def test_members_that_do_not_exist_are_refused(cloud):
    account, _ = cloud.create(ACCOUNT, {"accountId": "trainer"})
    missing_member = f"serviceAccount:missing@{PROJECT}.iam.gserviceaccount.com"
    with pytest.raises(ProviderError, match=r"Service account missing@.* does not exist"):
        cloud.create(PROJECT_MEMBER, {"project": PROJECT, "role": "roles/viewer", "member": missing_member})
    user = {"serviceAccountId": account, "role": "roles/iam.workloadIdentityUser"}
    with pytest.raises(ProviderError, match="Identity Pool does not exist"):
        cloud.create(ACCOUNT_MEMBER, {**user, "member": f"serviceAccount:{PROJECT}.svc.id.goog[ml/trainer]"})
    with pytest.raises(ProviderError, match="Error 404"):
        cloud.create(ACCOUNT_MEMBER, {**user, "serviceAccountId": f"{account}x", "member": "user:a@b.c"})


def test_a_workload_can_act_as_an_account_once_its_cluster_exists(cloud, cluster):
    account, _ = cloud.create(ACCOUNT, {"accountId": "trainer"})
    member = f"serviceAccount:{PROJECT}.svc.id.goog[ml/trainer]"
    user = {"serviceAccountId": account, "role": "roles/iam.workloadIdentityUser", "member": member}
    id, _ = cloud.create(ACCOUNT_MEMBER, user)
    assert cloud.take(ACCOUNT_MEMBER, id)[1]["member"] == member
    cloud.delete(account)
    assert cloud.read(id) is None, "an account's policy goes with it"


def test_a_service_can_be_enabled_twice_and_stays_enabled_by_default(cloud):
    stays, _ = cloud.create(SERVICE, {"service": "container.googleapis.com"})
    cloud.create(SERVICE, {"service": "container.googleapis.com"})
    cloud.delete(stays)
    goes, _ = cloud.create(SERVICE, {"service": "compute.googleapis.com", "disableOnDestroy": True})
    cloud.delete(goes)
    assert [name for _, name, _ in cloud.store.select("serviceusage.services")] == [
        f"projects/{PROJECT}/services/container.googleapis.com"
    ]


def test_keys_outlive_their_resources(cloud):
    ring, _ = cloud.create(RING, {"name": "ring", "location": "us-central1"})
    key, outputs = cloud.create(KEY, {"name": "key", "keyRing": ring, "rotationPeriod": "7776000s"})
    assert key == f"{ring}/cryptoKeys/key" and outputs["primaries"][0]["state"] == "ENABLED"
    cloud.delete(key)
    with pytest.raises(ProviderError, match="409"):
        cloud.create(KEY, {"name": "key", "keyRing": ring})
    cloud.delete(ring)
    with pytest.raises(ProviderError, match="409"):  # terraform-provider-google#1214
        cloud.create(RING, {"name": "ring", "location": "us-central1"})


def test_a_filestore_gets_addresses_and_keeps_them(cloud, network):
    props = {
        "name": "shared",
        "location": "us-central1-a",
        "tier": "ZONAL",
        "fileShares": {"name": "data", "capacityGb": 1024},
        "networks": [{"network": network, "modes": ["MODE_IPV4"]}],
    }
    id, outputs = cloud.create(FILESTORE, props)
    address = outputs["networks"][0]["ipAddresses"]
    assert address and outputs["fileShares"]["capacityGb"] == 1024
    assert cloud.store.get("file.instances", id)["fileShares"] == [{"name": "data", "capacityGb": "1024"}]
    assert cloud.diff(id, fileShares={"name": "data", "capacityGb": 2048}).replaces == []
    new = cloud.update(id, fileShares={"name": "data", "capacityGb": 2048})
    assert new["networks"][0]["ipAddresses"] == address
    assert cloud.diff(id, tier="REGIONAL", location="us-central1").replaces == ["location", "tier"]
    with pytest.raises(ProviderError, match="networks/none' was not found"):
        cloud.create(FILESTORE, {**props, "name": "b", "networks": [{"network": "none", "modes": ["MODE_IPV4"]}]})


def test_every_row_names_properties_that_exist(cloud):
    """A misspelled property in the table would silently never match."""
    for token, row in rows().items():
        shape = cloud.provider.schema.shape(token)
        named = {path.split(".")[0] for path in [*row.replaces, *row.names.renames, *row.checks, *row.defaults]}
        unexpected = named - shape.inputs.keys() - shape.outputs.keys()
        allowed = {"project", "deletionPolicy", "corss", "zone", "params", "condition", "region"}
        assert unexpected <= allowed, token
        assert row.labels in shape.inputs or not row.labels


def test_cluster_token_is_known(cloud):
    assert CLUSTER in rows()
