"""Data sources: their answers have the SDK's shape, and they refuse what Google refuses."""

from __future__ import annotations

import pytest

from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.gcp.stage import ACCOUNT, CLUSTER, POOL, PROJECT, cluster_props, cpu_pool

ENGINE = "gcp:container/getEngineVersions:getEngineVersions"
ZONES, MACHINES = "gcp:compute/getZones:getZones", "gcp:compute/getMachineTypes:getMachineTypes"
GET_PROJECT, CONFIG = "gcp:organizations/getProject:getProject", "gcp:organizations/getClientConfig:getClientConfig"
GET_NETWORK, GET_SUBNETWORK = "gcp:compute/getNetwork:getNetwork", "gcp:compute/getSubnetwork:getSubnetwork"


@pytest.mark.parametrize(
    ("token", "args"),
    [
        (GET_PROJECT, {}),
        (CONFIG, {}),
        (ENGINE, {"location": "us-central1"}),
        (ZONES, {"region": "us-east1"}),
        (MACHINES, {"zone": "us-central1-a"}),
        (GET_NETWORK, {"name": "net"}),
        (GET_SUBNETWORK, {"name": "nodes"}),
    ],
    ids=lambda value: value.split(":")[-1] if isinstance(value, str) else "",
)
def test_answers_have_the_sdks_shape(cloud, subnetwork, token, args):
    outputs = cloud.provider.schema.shape(token).outputs
    answer = cloud.provider.invoke(token, args)
    assert "id" in answer
    if token not in (GET_NETWORK, GET_SUBNETWORK):
        assert outputs.keys() - {"universeDomain"} == answer.keys()


def test_answers_have_the_expected_values(cloud, subnetwork):
    invoke = cloud.provider.invoke
    project = invoke(GET_PROJECT, {})
    assert project["projectId"] == PROJECT and project["number"].isdigit()
    assert invoke(CONFIG, {})["region"] == "us-central1"
    assert invoke(ZONES, {"region": "us-east1"})["names"] == ["us-east1-b", "us-east1-c", "us-east1-d"]
    versions = invoke(ENGINE, {"location": "us-central1", "versionPrefix": "1.35."})
    assert all(version.startswith("1.35.") for version in versions["validMasterVersions"])
    assert set(versions["releaseChannelDefaultVersion"]) == {"RAPID", "REGULAR", "STABLE", "EXTENDED"}
    assert invoke(GET_SUBNETWORK, {"name": "nodes"})["ipCidrRange"] == "10.0.0.0/20"


def test_machine_types_are_those_of_the_zone_and_the_filter(cloud):
    def names(zone: str, text: str = "") -> list[str]:
        answer = cloud.provider.invoke(MACHINES, {"zone": zone, "filter": text})
        return [item["name"] for item in answer["machineTypes"]]

    assert "g2-standard-8" in names("us-central1-a") and "g2-standard-8" not in names("us-central1-f")
    assert names("us-central1-a", 'name = "n1-standard-8"') == ["n1-standard-8"]
    assert names("us-central1-a", "name = g2-* AND guestCpus >= 48") == ["g2-standard-48", "g2-standard-96"]
    assert names("us-central1-a", "(isSharedCpus = true) (guestCpus != 2)") == []
    with pytest.raises(ProviderError, match="unknown field 'cpus'"):
        names("us-central1-a", "cpus = 8")
    with pytest.raises(ProviderError, match="Invalid list filter expression"):
        names("us-central1-a", "name ~ n1")


@pytest.mark.parametrize(
    ("token", "args", "reason"),
    [
        (ZONES, {"region": "mars1"}, "Unknown region"),
        (ZONES, {"status": "SLEEPY"}, "expected to be one of"),
        (MACHINES, {"zone": "us-central1-z"}, "Unknown zone"),
        (ENGINE, {"location": "mars1"}, "does not exist"),
        (ENGINE, {"location": "us-central1", "versionPrefix": "1.2"}, "No valid versions with the prefix"),
        (ENGINE, {"loaction": "us-central1"}, "this property does not exist"),
        (GET_NETWORK, {"name": "none"}, "not found"),
        ("gcp:compute/getImage:getImage", {"family": "debian"}, "not simulated"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_a_data_source_refuses(cloud, token, args, reason):
    with pytest.raises(ProviderError, match=reason):
        cloud.provider.invoke(token, args)


def test_a_service_account_is_found(cloud):
    cloud.create(ACCOUNT, {"accountId": "trainer"})
    answer = cloud.provider.invoke("gcp:serviceaccount/getAccount:getAccount", {"accountId": "trainer"})
    assert answer["member"] == f"serviceAccount:trainer@{PROJECT}.iam.gserviceaccount.com"


def test_a_pools_instance_group_reports_its_current_size(cloud, cluster):
    """reliability case R4: the current size, by the URL in the pool's outputs."""
    _, pool = cloud.create(POOL, cpu_pool(cluster))
    token = "gcp:compute/getInstanceGroup:getInstanceGroup"
    found = [cloud.provider.invoke(token, {"selfLink": url})["size"] for url in pool["managedInstanceGroupUrls"]]
    assert sum(found) == 2
    with pytest.raises(ProviderError, match="was not found"):
        cloud.provider.invoke(token, {"name": "none", "zone": "us-central1-a"})


def test_a_clusters_datapath_is_reported(cloud, network, subnetwork):
    """Components ask whether NetworkPolicies are enforced."""
    token, place = "gcp:container/getCluster:getCluster", {"location": "us-central1"}
    cloud.create(CLUSTER, cluster_props(network, subnetwork, datapathProvider="ADVANCED_DATAPATH"))
    found = cloud.provider.invoke(token, {**place, "name": "yard"})
    assert found["datapathProvider"] == "ADVANCED_DATAPATH" and not found.get("networkPolicies")
    with pytest.raises(ProviderError, match="not found"):
        cloud.provider.invoke(token, {**place, "name": "none"})
