"""docs/gcp.md: the pictures and the tables match the stacks; the hand-written parts match the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import taints
from components.clouds import GCP
from components.gcp import services
from pages.config import sections
from pages.picture import gcp
from pages.picture.gcp import access, choices, diagram, machines, quotas
from pages.picture.gcp.facts import Stack
from pages.picture.pages import placed
from recording.stacks import GKE, recorded
from sandbox.gcp import discovery
from tests.docs import page

pytestmark = pytest.mark.docs

PAGE = page.text("gcp.md")
POOLS = {
    "train": {
        "machineTypes": ["a3-megagpu-8g"],
        "min": 0,
        "max": 3,
        "zones": ["us-central1-a"],
        "interconnect": True,
        "capacity": ["reserved", "spot", "on_demand"],
        "reservation": {"name": "h100"},
    },
    "queue": {"machineTypes": ["a2-highgpu-1g"], "min": 0, "max": 5, "capacity": ["flex"], "queued": True},
    "each": {
        "machineTypes": ["c4-standard-8"], "min": 1, "max": 2, "zones": ["us-central1-a", "us-central1-b"],
        "perZone": True,
    },
}  # fmt: skip


def changed(change: Callable[[dict[str, Any]], None]) -> Stack:
    """dev-gke with another config."""
    return Stack("dev-gke", page.changed("dev-gke", change))


@pytest.fixture(scope="module")
def more() -> Stack:
    """dev-gke with a pool of three capacity types, one with queued flex-start, one with limits by zone, and a zonal
    control plane."""

    def change(config: dict[str, Any]) -> None:
        config["gpuyard:nodePools"] |= POOLS
        config["gpuyard:cluster"] |= {"location": "us-central1-a", "maintenance": {"hold": "nothing"}}

    return changed(change)


@pytest.fixture(scope="module")
def chosen() -> list[Stack]:
    return choices.recorded()


# -- the command ------------------------------------------------------------------------------------------------------


def test_a_page_out_of_date_is_reported_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page.check_out_of_date("gcp.md", tmp_path, monkeypatch, capsys)


def test_a_table_has_its_place() -> None:
    with pytest.raises(ValueError, match=r"docs/gcp\.md must have one place <!-- picture: machines -->"):
        parts = gcp.parts([Stack("dev-gke", recorded("dev-gke"))]).plus(sections.tables(GCP))
        placed(
            PAGE.replace("<!-- picture: machines -->", "").replace("<!-- picture: prod-gke -->", ""),
            parts,
            "docs/gcp.md",
        )


# -- the pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GKE)
def test_a_picture_is_small_and_its_arrows_have_targets(name: str) -> None:
    page.check_diagram(diagram.mermaid(Stack(name, recorded(name))))


def test_the_picture_shows_what_is_registered(more: Stack) -> None:
    text = diagram.mermaid(more)
    for pool in more.made.all("NodePool"):
        assert f"<b>{pool.name}</b>" in text
    assert "8 × H100-MEGA-80GB<br>8 × GPUDirect<br>0..3 nodes, reserved<br>in us-central1-a" in text
    assert "1 × A100<br>0..5 nodes, queued flex-start" in text
    # One node in each of two zones, up to two in each.
    assert "2..4 nodes, on demand" in text
    for place, name in enumerate(("train_reserved", "train_spot", "train"), 1):
        assert f"class_train -->|{place}| {name}\n" in text
    assert "API server</b><br>in us-central1-a<br>" in text and "upgrades held" not in text


def test_the_picture_follows_endpoints_and_nat() -> None:
    def private(config: dict[str, Any]) -> None:
        config["gpuyard:network"]["nat"] = "none"
        config["gpuyard:cluster"] = {"dnsEndpoint": True, "secretsKey": "new"}

    alone, usual = diagram.mermaid(changed(private)), diagram.mermaid(Stack("dev-gke", recorded("dev-gke")))
    assert 'people -->|"by DNS name, with IAM"| api' in alone and 'people -->|"from 0.0.0.0/0"| api' in usual
    assert "<br>private endpoint<br>secrets encrypted by Cloud KMS" in alone and "KMS" not in usual
    assert "public and private endpoint" in usual
    assert "nat --> internet" in usual and "Cloud NAT" not in alone and "subnetwork --> google_apis" in alone


def test_an_existing_network_is_marked_in_the_picture(chosen: list[Stack]) -> None:
    (shared,) = [diagram.mermaid(stack) for stack in chosen if "existing" in stack.name]
    page.check_diagram(shared)
    assert "an existing VPC" in shared and "10.64.0.0/14" not in shared and "nat" not in shared


# -- the tables -------------------------------------------------------------------------------------------------------


def test_every_api_is_in_the_table_with_its_purpose(chosen: list[Stack]) -> None:
    table = access.apis([Stack(name, recorded(name)) for name in GKE], chosen)
    found = re.findall(r"^\| `([\w.]+)`(.*?) \| \w", table, re.MULTILINE)
    assert sorted(name for name, only in found if not only) == sorted(services.REQUIRED)
    assert [pair for pair in found if pair[1]] == [(services.KEYS, " (prod-gke, `secretsKey: new`)")]


def test_an_api_without_a_reason_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(access.APIS, "file")
    with pytest.raises(KeyError, match=r"APIS .*what needs the API file"):
        access.apis([Stack("dev-gke", recorded("dev-gke"))], [])


def test_every_type_of_resource_needs_a_role_of_the_deployer(monkeypatch: pytest.MonkeyPatch) -> None:
    dev = [Stack("dev-gke", recorded("dev-gke"))]
    table = access.deployer(dev, [])
    assert "`roles/iam.serviceAccountUser`" in table and "roles/file.editor" not in table
    monkeypatch.delitem(access.DEPLOYER, "roles/compute.networkAdmin")
    with pytest.raises(KeyError, match=r"DEPLOYER .*which role gcp:compute/network:Network needs"):
        access.deployer(dev, [])


def test_every_grant_is_in_the_table(chosen: list[Stack]) -> None:
    stacks = [Stack(name, recorded(name)) for name in GKE]
    table = access.identity(stacks, chosen)
    members = [m for stack in (*stacks, *chosen) for kind in ("IAMMember", "BucketIAMMember", "CryptoKeyIAMMember",
               "SubnetworkIAMMember") for m in stack.made.all(kind)]  # fmt: skip
    assert len(members) > 12
    for member in members:
        assert f"`{member.inputs['role']}`" in table
    assert "the nodes' account `CLUSTER-nodes` |" in table and "gpuyard-prod" not in table
    assert "pods of `training/trainer` (prod-gke) | `roles/storage.objectUser` | bucket `example-checkpoints`" in table
    assert "GKE's agent of the project (prod-gke, `secretsKey: new`)" in table
    agent = "the APIs' agent of the project (`existing` with `grant`)"
    assert f"{agent} | `roles/compute.networkUser` | the subnetwork, in the host project |" in table


def test_grants_to_one_service_account_and_a_prefix_are_shown() -> None:
    def change(config: dict[str, Any]) -> None:
        bucket = {"bucket": "data", "prefix": "train/", "namespace": "ml", "serviceAccount": "trainer"}
        config["gpuyard:storage"] = {"buckets": {"datasets": bucket}}

    table = access.identity([changed(change)], [])
    assert "| pods of `ml/trainer` | `roles/storage.objectViewer` | bucket `data`, below train/ |" in table


def test_a_grant_without_a_reason_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(access.REASONS, "roles/artifactregistry.reader")
    with pytest.raises(KeyError, match=r"REASONS .*why a stack grants roles/artifactregistry\.reader"):
        access.identity([Stack("dev-gke", recorded("dev-gke"))], [])


def test_quotas_count_every_capacity_type_at_its_maximum(more: Stack) -> None:
    found = dict(re.findall(r"^\| (.+?) \| \*\*([\d,]+)\*\*", quotas.quotas([more]), re.MULTILINE))
    assert found == {
        # 10 × 1 L4, 3 rungs × 3 × 8 H100, 5 × 1 A100.
        "GPUs in all regions: `GPUS-ALL-REGIONS-per-project`": "87",
        "GPUs: `PREEMPTIBLE-NVIDIA-L4-GPUS-per-project-region`": "10",
        "GPUs: `PREEMPTIBLE-NVIDIA-A100-GPUS-per-project-region`": "5",
        "GPUs: `PREEMPTIBLE-NVIDIA-H100-MEGA-GPUS-per-project-region`": "24",
        "GPUs: `GPUS-PER-GPU-FAMILY-per-project-region`, `gpu_family=NVIDIA_H100_MEGA`": "48",
        "vCPUs: `N2-CPUS-per-project-region`": "160",
        # Two nodes in each of two zones.
        "vCPUs: `CPUS-PER-VM-FAMILY-per-project-region`, `vm_family=C4`": "32",
        "boot disks, GB: `SSD-TOTAL-GB-per-project-region`": "6,800",
        "boot disks, GB: `HDB-TOTAL-GB-per-project-region`": "400",
    }  # fmt: skip


def test_quotas_are_metrics_of_compute_engine() -> None:
    """Those that compute.v1 lists; newer GPUs have a quota by family, which is not listed there."""
    known = set(discovery.schemas("compute.v1", "Quota")["Quota"]["properties"]["metric"]["enum"])
    assert known >= {"GPUS_ALL_REGIONS", "CPUS", "PREEMPTIBLE_CPUS"}
    for gpu, name in quotas.GPUS.items():
        on_demand = f"NVIDIA_{name}_GPUS"
        assert (on_demand in known) == (name not in quotas.BY_FAMILY), gpu
        if name not in quotas.BY_FAMILY:
            assert f"PREEMPTIBLE_{on_demand}" in known
    assert {f"{series.upper()}_CPUS" for series in quotas.OWN_CPUS} <= known
    assert {f"{disk}_TOTAL_GB" for disk in quotas.DISKS.values()} <= known


def test_every_gpu_has_a_quota_and_a_row(more: Stack) -> None:
    table = machines.accelerated()
    known = {
        gpu.removeprefix("nvidia-").removeprefix("tesla-").upper() for gpu in re.findall(r"`(nvidia-[\w-]+)`", table)
    }
    assert known == set(quotas.GPUS)
    assert "| `a3-highgpu-*`: `nvidia-h100-80gb` | 1, 2, 4, 8 | on demand (with 8 GPUs), spot, flex-start |" in table
    assert "| `n1-*` with `nvidia-tesla-v100` | 1 (to 12 vCPU)," in table
    assert "| 32, bundled | 8 | 1500 |" in table


# -- what is written by hand ------------------------------------------------------------------------------------------


def test_the_yaml_examples_are_accepted() -> None:
    configs = [found["config"] for found in page.manifests(PAGE) if "config" in found]
    assert len(configs) >= 3
    for config in configs:
        page.parse("dev-gke", config)


def test_the_tolerations_match_a_pool_of_several_capacity_types(more: Stack) -> None:
    (shown,) = [found["tolerations"] for found in page.manifests(PAGE) if "tolerations" in found]
    taken = [pool.inputs["nodeConfig"]["taints"] for pool in more.made.all("NodePool") if pool.name.startswith("train")]
    wanted = [{**taint, "effect": "NoSchedule"} for taint in taken[0]]
    assert sorted(shown, key=str) == sorted(taints.tolerations(wanted), key=str)


def test_the_commands_name_quotas_labels_and_keys_that_exist() -> None:
    table = quotas.quotas([Stack(name, recorded(name)) for name in GKE])
    lines = page.commands(PAGE)
    assert {line[0] for line in lines} == {"gcloud", "pulumi"}
    for line in lines:
        for option in line:
            if option.startswith("--quota-id="):
                assert f"`{option.removeprefix('--quota-id=')}`" in table
        if line[:5] == ["gcloud", "beta", "quotas", "info", "describe"]:
            assert f"`{line[5]}`" in table
        if line[:2] == ["pulumi", "config"]:
            page.parse("dev-gke", {line[3]: yaml.safe_load(line[4])})


def test_the_page_lists_every_protected_resource() -> None:
    def change(config: dict[str, Any]) -> None:
        config["gpuyard:deletionProtection"] = True
        config["gpuyard:cluster"]["secretsKey"] = "new"
        config["gpuyard:storage"] = {"filestore": {"namespace": "ml", "zone": "us-central1-a"}}

    named = {
        "network-vpc": "VPC",
        "network-nodes": "its subnetwork",
        "cluster-gke": "cluster",
        "cleanup-contents": "its contents",
        "cluster-secrets": "the key of its secrets",
        "filestore-files": "Filestore",
    }
    assert page.protected(changed(change).made) == set(named)
    words = list(named.values())
    assert f"protects {', '.join(words[:-1])} and {words[-1]}:" in PAGE


def test_the_page_shows_the_order_of_a_destroy() -> None:
    """Volumes, classes, then node pools, cluster, network."""
    made = recorded("prod-gke")
    cluster, pools = made.one("gcp:container/cluster:Cluster"), made.all("NodePool")
    nat = made.all("RouterNat")
    page.outlive(made, pools, made.all("ClusterContents"))
    for found in made.all("ComputeClass"):
        own = [pool for pool in pools if pool.name.startswith(found.inputs["metadata"]["name"])]
        page.outlive(made, own, [found])
    page.outlive(made, [cluster], [*pools, *made.all("StorageClass"), *made.all("PersistentVolume")])
    page.outlive(made, nat, pools)
    page.outlive(made, made.all("gcp:compute/network:Network"), [cluster])
