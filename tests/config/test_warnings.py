"""Warnings: every preview shows valid but risky settings with their path in the file."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.config.test_errors import changed, parse

CIDRS = "gpuyard:cluster/publicAccessCidrs"


def warned(stack: str, changes: dict[str, Any], today: str = "2026-11-23") -> list[str]:
    """The warnings on that day, of a file whose endpoint is open to one network."""
    config = changed(stack, {CIDRS: ["8.8.8.0/24"], **changes})
    return list(parse(stack, config).warnings(date.fromisoformat(today)))


@pytest.mark.parametrize("stack", ["dev", "dev-gke"])
@pytest.mark.parametrize(
    "cidrs", [["0.0.0.0/0"], ["0.0.0.0/1", "128.0.0.0/1"], ["128.0.0.0/1"], ["8.8.8.0/24", "0.0.0.0/0"]]
)
def test_an_endpoint_open_to_the_internet_gives_a_warning(stack: str, cidrs: list[str]) -> None:
    """security case M5: with and without deletion protection, written as one network or as several."""
    (warning,) = warned(stack, {CIDRS: cidrs})
    assert warning.startswith("cluster.publicAccessCidrs: the API endpoint is open to the whole internet")
    assert warned(stack, {}) == []


def test_only_edit_access_in_all_namespaces_gives_a_warning() -> None:
    """security case M2: a person who can create pods in kube-system gets the permissions of the components there."""
    ci = {"principalArn": "arn:aws:iam::111122223333:role/ci", "level": "edit"}
    (warning,) = warned("dev", {"gpuyard:cluster/access": {"ci": ci}})
    assert warning.startswith("cluster.access.ci: `edit`") and "namespaces" in warning
    assert warned("dev", {"gpuyard:cluster/access": {"ci": {**ci, "namespaces": ["apps"]}}}) == []


@pytest.mark.parametrize("stack", ["dev", "dev-gke"])
def test_settings_of_queues_that_have_no_effect_give_a_warning(stack: str) -> None:
    queues = {"headroom": {"gpu-workers": 1}, "unqueued": {"gpu-workers": 1}}
    assert warned(stack, {"gpuyard:queues": queues}) == [
        "queues.headroom: has no effect: there is no team", "queues.unqueued: has no effect: there is no team",
    ]  # fmt: skip
    teams = {"a": {"guaranteed": {"gpu-workers": 1}}, "b": {}}
    assert warned(stack, {"gpuyard:teams": teams, "gpuyard:queues": {"enabled": False}}) == [
        "teams.a.guaranteed: has no effect: `queues.enabled` is false"
    ]
    assert warned(stack, {"gpuyard:teams": teams, "gpuyard:queues": queues}) == []


def test_addons_without_the_one_that_they_need_give_a_warning() -> None:
    addons = {"monitoring": False, "alerts": True, "dashboards": True, "grafana": True}
    assert warned("dev", {"gpuyard:addons": addons}) == [
        f"addons.{name}: has no effect: monitoring is not installed" for name in ("alerts", "dashboards", "grafana")
    ]
    assert warned("dev", {"gpuyard:addons": {**addons, "monitoring": True}}) == []
    assert warned("dev", {"gpuyard:addons": {"monitoring": False}}) == []


def test_the_production_example_gives_two_warnings() -> None:
    """security cases M2, M5 and M13: no open endpoint, no broad access, no volume that any claim can bind."""
    config = parse("prod", changed("prod", {}))
    topology, types = config.warnings(date(2026, 11, 23))
    assert topology.startswith("nodePools.train-h100: queues do not place its jobs by the network's topology")
    assert types.startswith("nodePools.gpu-workers.machineTypes: the cloud chooses nodes with L4 or A10G")


@pytest.mark.parametrize("stack", ["dev", "dev-gke"])
def test_headroom_that_queues_have_quota_for_gives_a_warning(stack: str) -> None:
    """A job of long training is admitted to such a node, and never evicts the placeholder on it."""

    def of(**queues: Any) -> list[str]:
        return warned(stack, {"gpuyard:teams": {"vision": {}}, "gpuyard:queues": queues})

    (warning,) = of(headroom={"gpu-workers": 2}, unqueued={"gpu-workers": 1})
    assert warning.startswith("queues.headroom.gpu-workers: ") and "`queues.unqueued: {gpu-workers: 2}`" in warning
    assert of(headroom={"gpu-workers": 2}, unqueued={"gpu-workers": 2}) == of() == []


def test_an_export_of_deletions_gives_a_warning() -> None:
    """security case H6."""
    lustre = {"zone": "us-east-1a", "s3": "s3://acme-datasets", "namespace": "research"}
    storage = {"gpuyard:storage": {"lustre": {**lustre, "exports": ["new", "changed", "deleted"]}}}
    (warning,) = warned("dev", storage)
    assert warning.startswith("storage.lustre.exports: `rm`") and "s3://acme-datasets" in warning
    assert warned("dev", {"gpuyard:storage": {"lustre": {**lustre, "exports": ["new", "changed"]}}}) == []


def test_a_volume_that_any_namespace_can_claim_gives_a_warning() -> None:
    """security case M13."""
    storage = {"lustre": {"zone": "us-east-1a"}, "buckets": {"data": {"bucket": "acme-datasets"}}}
    warning = warned("dev", {"gpuyard:storage": storage})
    assert [text.partition(":")[0] for text in warning] == [
        "storage.lustre.namespace",
        "storage.buckets.data.namespace",
    ]


def test_the_end_of_support_is_a_warning_and_never_an_error() -> None:
    old = {"gpuyard:cluster/version": "1.33"}
    (warning,) = warned("dev", old)
    assert warning.startswith("cluster.version: Kubernetes 1.33 left standard support on 2026-07-29")
    assert "set version to 1.34" in warning
    assert warned("dev", old, "2026-05-01") == []
    (warning,) = warned("dev", {**old, "gpuyard:cluster/support": "extended"})
    assert "every hour costs more" in warning and "2027-07-29" in warning


def test_the_default_version_gives_a_warning_when_support_ends() -> None:
    assert warned("dev", {}) == []
    (warning,) = [each for each in warned("dev", {}, "2027-03-01") if "release" not in each]
    assert "2027-03-27" in warning and "newer gpuyard" in warning


def test_an_old_image_release_gives_a_warning_with_the_update() -> None:
    """security case M8: pinned releases do not change, so every preview shows their age."""
    old = {"gpuyard:nodePools/gpu-workers/release": "1.35.6-20260714"}
    (warning,) = warned("dev", old)
    assert warning.startswith("nodePools.gpu-workers.release: the nodes' image 1.35.6-20260714 is 132 days old")
    assert "aws ssm get-parameter" in warning and "set it to a newer one" in warning
    assert warned("dev", old, "2026-10-01") == []
    warning = warned("dev", {}, "2027-01-15")
    assert [each.split(":")[0] for each in warning] == [
        "nodePools.cpu-workers.release",
        "nodePools.gpu-workers.release",
    ]
    assert all("update gpuyard" in each for each in warning)


def test_a_bottlerocket_release_named_after_a_commit_of_digits_has_no_age() -> None:
    """security case M8: one in forty commits has no letter in its first eight digits."""
    gpu = "gpuyard:nodePools/gpu-workers"
    assert warned("dev", {f"{gpu}/image": "bottlerocket", f"{gpu}/release": "1.57.0-12345678"}) == []


def test_a_pool_with_fewer_nodes_than_zones_gives_a_warning() -> None:
    """field case A4"""
    gpu = "gpuyard:nodePools/gpu-workers"
    (warning,) = warned("dev", {f"{gpu}/max": 1})
    assert warning.startswith("nodePools.gpu-workers.max: 1 is ") and "in us-east-1a only" in warning
    assert warned("dev", {f"{gpu}/max": 1, f"{gpu}/zones": ["us-east-1b"]}) == []


def test_an_unreachable_capacity_type_gives_a_warning() -> None:
    """reliability case R17"""
    for stack in ("dev", "dev-gke"):
        (warning,) = warned(stack, {"gpuyard:nodePools/gpu-workers/capacity": ["on_demand", "spot"]})
        assert (
            warning.startswith("nodePools.gpu-workers.capacity: spot after on_demand")
            and "[spot, on_demand]" in warning
        )
        assert warned(stack, {"gpuyard:nodePools/gpu-workers/capacity": ["spot", "on_demand"]}) == []


def test_different_nodes_within_a_pool_give_a_warning() -> None:
    """field case A6: different GPUs, or larger machine types after the first."""
    gpu = "gpuyard:nodePools/gpu-workers/machineTypes"
    (warning,) = warned("dev", {gpu: ["g6.2xlarge", "g5.2xlarge"]})
    assert warning.startswith("nodePools.gpu-workers.machineTypes: the cloud chooses nodes with L4 or A10G")
    (warning,) = warned("dev", {gpu: ["g6.2xlarge", "g6.4xlarge"]})
    assert "sizes differ" in warning and "g6.2xlarge" in warning
    assert warned("dev", {gpu: ["g6.2xlarge"]}) == []


def test_more_groups_than_the_default_quota_give_a_warning() -> None:
    """reliability case R17: a group for each capacity type in each zone."""
    pool = {"machineTypes": ["m5.large"], "min": 0, "max": 4}
    many = {f"gpuyard:nodePools/pool-{number}": pool for number in range(14)}
    (warning,) = warned("dev", many)
    assert warning.startswith("nodePools: 32 node groups") and "30 for each cluster" in warning
    assert warned("dev", dict(list(many.items())[:13])) == []


def test_end_of_support_warnings_are_only_for_eks() -> None:
    assert warned("dev-gke", {"gpuyard:cluster/version": "1.34"}, "2099-01-01") == []


def test_system_pods_on_spot_nodes_only_give_a_warning() -> None:
    cpu = "gpuyard:nodePools/cpu-workers"
    (warning,) = warned("dev-gke", {f"{cpu}/capacity": ["spot"]})
    assert warning.startswith("nodePools.cpu-workers.capacity: GKE's system pods") and "on_demand" in warning
    system = {"machineTypes": ["e2-standard-4"], "min": 1, "max": 3}
    assert warned("dev-gke", {f"{cpu}/capacity": ["spot"], "gpuyard:nodePools/system": system}) == []


def test_a_pod_range_chosen_around_another_gives_a_warning() -> None:
    """A change of the other range would change this one, and a range in use cannot change."""
    wide = {"gpuyard:network/cidr": "10.64.0.0/20"}
    (warning,) = warned("dev-gke", wide)
    assert warning.startswith("network.podsCidr: 10.128.0.0/13 is used") and "write it into the file" in warning
    assert warned("dev-gke", {**wide, "gpuyard:network/podsCidr": "10.128.0.0/13"}) == []


BLOCK = {
    "gpuyard:nodePools/gpu-workers/machineTypes": ["p5.48xlarge"],
    "gpuyard:nodePools/gpu-workers/zones": ["us-east-1a"],
    "gpuyard:nodePools/gpu-workers/capacity": ["reserved"],
}


def test_a_capacity_block_whose_end_nothing_announces_gives_a_warning() -> None:
    block = {"id": "cr-0123456789abcdef0", "capacityBlock": True}
    (warning,) = warned("dev", {**BLOCK, "gpuyard:nodePools/gpu-workers/reservation": block})
    assert warning.startswith("nodePools.gpu-workers.reservation.ends: not set")
    block["ends"] = "2026-12-01T11:30:00Z"
    assert warned("dev", {**BLOCK, "gpuyard:nodePools/gpu-workers/reservation": block}, "2026-12-01") == []


def test_a_reservation_that_has_ended_gives_a_warning() -> None:
    mine = {"name": "mine", "ends": "2026-12-01T11:30:00Z"}
    pool = "gpuyard:nodePools/gpu-workers"
    given = {f"{pool}/capacity": ["reserved"], f"{pool}/zones": ["us-central1-a"], f"{pool}/reservation": mine}
    assert warned("dev-gke", given, "2026-12-01") == []
    (warning,) = warned("dev-gke", given, "2026-12-02")
    assert "ended on 2026-12-01" in warning and "the next reservation" in warning


def test_gpus_without_metrics_give_a_warning() -> None:
    (warning,) = warned("dev-gke", {"gpuyard:cluster/managedDcgm": False})
    assert warning.startswith("cluster.managedDcgm: Google's exporter is off") and "exactly one" in warning


def test_an_exclusion_that_has_ended_is_reported_from_the_day_after() -> None:
    ended = {"gpuyard:cluster/maintenance": {"exclusions": {"launch": {"first": "2026-12-15", "last": "2027-01-05"}}}}
    assert warned("dev-gke", ended, "2027-01-05") == []
    (warning,) = warned("dev-gke", ended, "2027-01-06")
    assert warning == "cluster.maintenance.exclusions.launch: ended on 2027-01-05 and has no effect; remove it"


@pytest.mark.parametrize(("channel", "last"), [("REGULAR", "2028-05-17"), ("EXTENDED", "2029-03-13")])
def test_an_exclusion_that_outlasts_every_version_is_reported(channel: str, last: str) -> None:
    """terraform-provider-google#20556: an exclusion ends before the support of the cluster's version does."""

    def warning(scope: str, today: str) -> list[str]:
        exclusions = {"exclusions": {"run": {"first": "2026-12-01", "last": last, "scope": scope}}}
        fields = {"gpuyard:cluster/maintenance": exclusions, "gpuyard:cluster/releaseChannel": channel}
        return warned("dev-gke", fields, today)

    for scope in ("nodes", "minor"):
        (text,) = warning(scope, "2026-11-23")
        assert text.startswith(f"cluster.maintenance.exclusions.run.last: {last} is after the end") and "`hold`" in text
        assert warning(scope, "2026-11-24") == []


def test_a_machine_type_that_the_newest_node_image_does_not_support_gives_a_warning() -> None:
    """cluster-toolkit#5673: A3 High and the image of Kubernetes 1.35, when last checked."""
    high = {f"gpuyard:nodePools/gpu-workers/{key}": value
            for key, value in (("machineTypes", ["a3-highgpu-8g"]), ("zones", ["us-central1-a"]))}  # fmt: skip
    (warning,) = warned("dev-gke", {**high, "gpuyard:cluster/version": "1.35"})
    assert (
        warning.startswith("nodePools.gpu-workers.machineTypes[0]: a3-highgpu-8g did not start")
        and "Kubernetes 1.34" in warning
    )
    assert warned("dev-gke", {**high, "gpuyard:cluster/version": "1.34"}) == []
    mega = {**high, "gpuyard:nodePools/gpu-workers/machineTypes": ["a3-megagpu-8g"]}
    assert warned("dev-gke", {**mega, "gpuyard:cluster/version": "1.35"}) == []


def test_an_accepted_withdrawn_machine_type_gives_a_warning() -> None:
    (warning,) = warned("guide", {})
    assert "p3.2xlarge is withdrawn" in warning
