"""Machine types and versions that Google does not offer are reported before anything is created."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.gcp import offerings
from components.gcp.offerings import Offerings
from recording.stacks import record, settings
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, pool
from tests.config.test_errors import changed
from tests.failing_lookup import LookupFailed

A, B = GCP_ZONES
MACHINES = "gcp:compute/getMachineTypes:getMachineTypes"
VERSIONS = "gcp:container/getEngineVersions:getEngineVersions"


def offered(machines: dict[str, set[str]], minors: str = "1.34 1.35 1.36", newest: str = "1.36") -> Offerings:
    """The answer of Google: zone → machine types."""
    found = {zone: frozenset(machines.get(zone, ())) for zone in (*GCP_ZONES, *machines)}
    return Offerings(found, frozenset(minors.split()), {"REGULAR": newest})


def reported(pools: dict[str, Any], machines: dict[str, set[str]]) -> list[tuple[str, str, str, str]]:
    """(path, wrong, allowed, fix) of every problem."""
    found = offerings.problems(pools, GCP_ZONES, offered(machines))
    return [(each.path, each.wrong, each.allowed, each.fix) for each in found]


def test_types_that_every_zone_offers_are_accepted() -> None:
    both = {"n2-standard-8", "g2-standard-8"}
    assert reported({"cpu": GKE_CPU, "gpu": GKE_GPU}, {A: both, B: both}) == []


def test_a_type_that_no_zone_offers_is_reported_with_the_nearest_one() -> None:
    ((path, wrong, allowed, fix),) = reported({"gpu": GKE_GPU}, {A: {"g2-standard-12"}, B: {"g2-standard-16"}})
    assert (path, wrong) == ("gpu.machine_types[0]", f"not offered in {A}, {B}")
    assert "g2-standard-12" in allowed and "g2-standard-16" in allowed and fix.startswith("write g2-standard-12")


def test_a_type_of_other_zones_of_the_network_is_reported_with_these_zones() -> None:
    only_a = pool(GKE_GPU, zones=[A])
    ((path, _, _, fix),) = reported({"gpu": only_a}, {A: set(), B: {"g2-standard-8"}})
    assert path == "gpu.machine_types[0]" and fix == f"use the network's zones {B}"


def test_the_fix_leaves_out_a_zone_without_the_type() -> None:
    ((path, wrong, _, fix),) = reported({"gpu": GKE_GPU}, {B: {"g2-standard-8"}})
    assert (path, wrong, fix) == ("gpu.zones", f"{A} does not offer g2-standard-8", f"write [{B}]")


def test_an_unknown_zone_is_reported_once_and_not_for_each_pool() -> None:
    found = Offerings({A: frozenset({"n2-standard-8", "g2-standard-8"})}, frozenset(), {})
    (problem,) = offerings.zone_problems(GCP_ZONES, found)
    assert (problem.path, problem.value) == ("zones[1]", B) and A in problem.allowed
    assert problem.fix == "see `gcloud compute zones list --filter=region:us-central1`"
    assert list(offerings.problems({"cpu": GKE_CPU, "gpu": GKE_GPU}, GCP_ZONES, found)) == []
    nowhere = Offerings({}, frozenset(), {})
    (problem,) = offerings.zone_problems([A], nowhere)
    assert problem.allowed == "existing zones"
    assert list(offerings.problems({"gpu": GKE_GPU}, GCP_ZONES, nowhere)) == []


def test_gpus_missing_from_the_table_of_zones_are_reported_if_lookups_fail() -> None:
    """reliability case R16: the APIs of the project are disabled; enabling them avoids an outdated table."""
    zones = ["us-central1-a", "us-central1-f"]
    specs: dict[str, Any] = {"cpu": GKE_CPU, "gpu": GKE_GPU, "there": pool(GKE_GPU, zones=["us-central1-a"])}
    (problem,) = offerings.unasked_problems(specs, zones)
    assert (problem.path, problem.wrong) == ("gpu.zones", "us-central1-f did not offer nvidia-l4 in 2026-11")
    assert problem.fix.startswith("write [us-central1-a]") and "gcloud services enable" in problem.fix


def test_gpus_attached_to_n1_are_checked_with_the_table_of_zones() -> None:
    """reliability case R16: the provider has no lookup for the zones in which Google attaches them."""
    spec = pool(GKE_GPU, machine_types=["n1-standard-8"], accelerator={"type": "nvidia-tesla-p100", "count": 1})
    (problem,) = offerings.attached_problems({"gpu": spec}, ["us-central1-a", "us-central1-c"])
    assert problem.wrong.startswith("us-central1-a did not offer nvidia-tesla-p100")
    assert problem.fix.startswith("write [us-central1-c]")
    assert not list(offerings.attached_problems({"gpu": GKE_GPU}, ["us-central1-f"]))


def test_ai_zones_are_looked_up_only_for_pools_that_name_them() -> None:
    """field case G7."""
    ai = "us-central1-ai1a"
    train = pool(GKE_GPU, machine_types=["a4-highgpu-8g"], zones=[ai], capacity=["spot"])
    machines = {A: {"g2-standard-8"}, ai: {"a4-highgpu-8g"}}
    found = offerings.problems({"gpu": GKE_GPU, "train": train}, [A, ai], offered(machines))
    assert list(found) == []
    assert not list(offerings.unasked_problems({"train": train}, [A, ai])), "no list says what they have"


def test_a_version_newer_than_the_channel_is_refused_and_an_older_one_gives_a_warning() -> None:
    (found,) = offerings.version_problems("1.36", "REGULAR", "us-central1", offered({}, newest="1.35"))
    assert found.path == "version" and found.fix.startswith("write 1.35") and "1.36" not in found.allowed
    assert not list(offerings.version_problems("1.36", "REGULAR", "us-central1", offered({})))
    assert not list(offerings.version_problems("1.33", "REGULAR", "us-central1", offered({})))
    (problem,) = offerings.warnings("1.33", "us-central1", offered({}))
    assert "write 1.34 or later" in problem
    assert not list(offerings.warnings("1.34", "us-central1", offered({})))


def test_minors_are_compared_as_numbers() -> None:
    assert not list(offerings.version_problems("1.9", "REGULAR", "us-central1", offered({}, newest="1.10")))


def test_the_stack_asks_each_zone_once_for_all_pools() -> None:
    made = record(settings("dev-gke"), "dev-gke", preview=True)
    asked = [call.args for call in made.invokes if call.token == MACHINES]
    assert [args["zone"] for args in asked] == GCP_ZONES
    assert all('(name = "g2-standard-8")' in args["filter"] for args in asked)
    (versions,) = [call.args for call in made.invokes if call.token == VERSIONS]
    assert versions["location"] == "us-central1"


@pytest.mark.parametrize("preview", [True, False])
def test_the_stack_stops_before_anything_is_made(preview: bool) -> None:
    def machines(args: dict[str, Any]) -> dict[str, Any]:
        names = ["n2-standard-8"] if args["zone"] == A else ["n2-standard-8", "g2-standard-8"]
        return {"id": "x", "machineTypes": [{"name": name} for name in names]}

    with pytest.raises(pulumi.RunError, match=rf"nodePools\.gpu-workers\.zones = .*{A} does not offer g2-standard-8"):
        record(settings("dev-gke"), "dev-gke", preview, outputs={MACHINES: machines})
    newer = changed("dev-gke", {"gpuyard:cluster/version": "1.36"})
    says = {VERSIONS: {"id": "x", "validMasterVersions": ["1.36.0-gke.1", "1.35.2-gke.1"],
                       "releaseChannelLatestVersion": {"REGULAR": "1.35.2-gke.1"}}}  # fmt: skip
    with pytest.raises(pulumi.RunError, match=r"gpuyard:cluster\.version = .*not yet in the release channel REGULAR"):
        record(newer, "dev-gke", preview, outputs=says)


def test_with_disabled_apis_the_first_preview_continues_with_a_warning(caplog: Any) -> None:
    def off(args: dict[str, Any]) -> dict[str, Any]:
        raise LookupFailed("Error 403: Compute Engine API has not been used in project 123 before or it is disabled.")

    made = record(settings("dev-gke"), "dev-gke", preview=True, outputs={MACHINES: off})
    assert made.all("gcp:projects/service:Service")
    assert "not enabled in my-project yet" in caplog.text


@pytest.mark.parametrize(
    "problem",
    [
        "Error 400: Invalid value for field 'zone': 'us-central1-b'. Unknown zone.",
        "Error 404: The resource 'projects/my-project/zones/us-central1-b' was not found, notFound",
    ],
)
def test_the_stack_reports_a_zone_that_does_not_exist(problem: str) -> None:
    """The zones of a region are looked up: us-east1 does not have a zone a."""

    def machines(args: dict[str, Any]) -> dict[str, Any]:
        if args["zone"] == B:
            raise LookupFailed(problem)
        return {"id": "x", "machineTypes": [{"name": "n2-standard-8"}, {"name": "g2-standard-8"}]}

    only_a = changed("dev-gke", {f"gpuyard:nodePools/{name}/zones": [A] for name in ("cpu-workers", "gpu-workers")})
    with pytest.raises(pulumi.RunError, match=rf"gpuyard:network\.zones\[1\] = '{B}': not an existing zone"):
        record(only_a, "dev-gke", outputs={MACHINES: machines})


def test_a_missing_project_is_not_reported_as_a_missing_zone() -> None:
    def gone(args: dict[str, Any]) -> dict[str, Any]:
        raise LookupFailed("Error 404: The resource 'projects/my-project' was not found, notFound")

    with pytest.raises(pulumi.RunError, match=r"did not return what it offers: .*projects/my-project"):
        record(settings("dev-gke"), "dev-gke", outputs={MACHINES: gone})


def test_other_lookup_errors_are_reported_with_the_message_of_google() -> None:
    def forbidden(args: dict[str, Any]) -> dict[str, Any]:
        raise LookupFailed("Error 403: Required 'compute.machineTypes.list' permission, forbidden")

    with pytest.raises(
        pulumi.RunError, match=r"did not return what it offers: .*compute\.machineTypes\.list"
    ) as caught:
        record(settings("dev-gke"), "dev-gke", outputs={MACHINES: forbidden})
    assert "fix: log in" in str(caught.value) and "roles/compute.viewer" in str(caught.value)
