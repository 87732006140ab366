"""Node system settings of a pool on GKE, and optional features of the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from components.gcp import pool_checks as pools
from tests.component.gke_cluster import inputs
from tests.component.gke_pools import config, made, rungs
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, pool

IMAGE = "projects/p/global/images/models"


def test_pods_per_node_can_be_set_for_a_pool() -> None:
    """field case G10."""
    assert made(pool(GKE_GPU, pods_per_node=32))["maxPodsPerNode"] == 32
    assert "maxPodsPerNode" not in made(GKE_GPU)


def test_a_sub_block_of_a_reservation_is_used() -> None:
    """field case G10: reservations of A4X and TPUs consist of sub-blocks."""
    reservation = {"name": "h100", "project": "owner-1", "block": "b-1", "sub_block": "s-2"}
    spec = pool(GKE_GPU, capacity=["reserved"], reservation=reservation, zones=GCP_ZONES[:1])
    affinity = rungs(spec)["gpu-workers-reserved"].inputs["nodeConfig"]["reservationAffinity"]
    path = "projects/owner-1/reservations/h100/reservationBlocks/b-1/reservationSubBlocks/s-2"
    assert affinity["values"] == [path]


def test_kernel_parameters_and_huge_pages_reach_the_nodes() -> None:
    """field case G10: the network plug-ins of NVIDIA require 4,096 pages of 2 MiB."""
    nodes = config(
        pool(GKE_CPU, machine_types=["c3-standard-88"], sysctls={"net.core.somaxconn": "4096"},
             huge_pages={"two_mib": 4096, "one_gib": 2})
    )  # fmt: skip
    assert nodes["linuxNodeConfig"] == {
        "sysctls": {"net.core.somaxconn": "4096"},
        "hugepagesConfig": {"hugepageSize2m": 4096, "hugepageSize1g": 2},
    }
    assert "linuxNodeConfig" not in config(GKE_CPU), "GKE's defaults stay"


def test_the_static_cpu_manager_is_an_option() -> None:
    """field case G10."""
    assert config(pool(GKE_CPU, cpu_manager="static"))["kubeletConfig"]["cpuManagerPolicy"] == "static"
    assert "cpuManagerPolicy" not in config(GKE_CPU)["kubeletConfig"]


@pytest.mark.parametrize(("disk", "mode"), [({}, "CONTAINER_IMAGE_CACHE"), ({"mode": "data"}, None)])
def test_secondary_boot_disks_are_an_option(disk: dict[str, str], mode: str | None) -> None:
    """field case G10."""
    (found,) = config(pool(GKE_GPU, secondary_boot_disk={"image": IMAGE, **disk}))["secondaryBootDisks"]
    assert found["diskImage"] == IMAGE and found.get("mode") == mode


def test_floats_from_other_languages_become_integers() -> None:
    """field case G10: programs in TypeScript or YAML send floats."""
    pages = {"two_mib": 4096.0, "one_gib": 2.0}
    nodes = config(pool(GKE_CPU, machine_types=["c3-standard-88"], huge_pages=pages))
    assert nodes["linuxNodeConfig"]["hugepagesConfig"] == {"hugepageSize2m": 4096, "hugepageSize1g": 2}


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"pods_per_node": 7}, "pods_per_node", "8 to 256"),
        ({"pods_per_node": 257}, "pods_per_node", "8 to 256"),
        ({"sysctls": {"net.core.somaxcon": "1"}}, "sysctls.net.core.somaxcon", "net.core.somaxconn"),
        ({"sysctls": {"vm.swappiness": "1; reboot"}}, "sysctls.vm.swappiness", "a number"),
        ({"sysctls": {"vm.swappiness": "-5"}}, "sysctls.vm.swappiness", "a number"),
        ({"sysctls": {"net.core.somaxconn": "many"}}, "sysctls.net.core.somaxconn", "a number"),
        ({"sysctls": {"net.ipv4.tcp_rmem": "4096"}}, "sysctls.net.ipv4.tcp_rmem", "three numbers"),
        ({"huge_pages": {"two_mib": -1}}, "huge_pages.two_mib", "0 or more"),
        ({"huge_pages": {"one_gib": 1}}, "huge_pages.one_gib", "a3, a4"),
        ({"huge_pages": {"two_mib": 20000}}, "huge_pages", "MiB in total"),
        ({"cpu_manager": "pinned"}, "cpu_manager", "none, static"),
        ({"secondary_boot_disk": {"image": "models"}}, "secondary_boot_disk.image", "projects/PROJECT/global/images"),
        ({"secondary_boot_disk": {"image": IMAGE, "mode": "x"}}, "secondary_boot_disk.mode", "container_images, data"),
        ({"secondary_boot_disk": {"image": IMAGE}, "image_streaming": False}, "image_streaming", "true"),
    ],
)
def test_invalid_node_settings_are_refused(changes: dict[str, Any], path: str, words: str) -> None:
    """field case G10."""
    spec: Any = pool(GKE_GPU, **changes)
    (found,) = pools.problems("p", spec, GCP_ZONES, "1.35")
    assert found.path == path and words in found.allowed, found


def test_a_sub_block_without_its_block_is_refused() -> None:
    """field case G10."""
    reservation = {"name": "h100", "sub_block": "s-2"}
    spec: Any = pool(GKE_GPU, capacity=["reserved"], reservation=reservation, zones=GCP_ZONES[:1])
    (found,) = pools.problems("p", spec, GCP_ZONES, "1.35")
    assert found.path == "reservation.sub_block" and "block" in found.allowed


@pytest.mark.parametrize(
    ("given", "field", "sent"),
    [
        (
            {"autoscaling_profile": "optimize_utilization"},
            "clusterAutoscaling",
            {"enabled": False, "autoscalingProfile": "OPTIMIZE_UTILIZATION"},
        ),
        ({"gateway_api": "standard"}, "gatewayApiConfig", {"channel": "CHANNEL_STANDARD"}),
        ({"dns": "cloud_dns"}, "dnsConfig", {"clusterDns": "CLOUD_DNS", "clusterDnsScope": "CLUSTER_SCOPE"}),
        ({"dns": "kube_dns"}, "dnsConfig", {"clusterDns": "KUBE_DNS"}),
        (
            {"binary_authorization": True},
            "binaryAuthorization",
            {"evaluationMode": "PROJECT_SINGLETON_POLICY_ENFORCE"},
        ),
        (
            {"groups_domain": "example.com"},
            "authenticatorGroupsConfig",
            {"securityGroup": "gke-security-groups@example.com"},
        ),
    ],
)
def test_optional_cluster_features_are_set_only_if_configured(
    given: dict[str, Any], field: str, sent: dict[str, Any]
) -> None:
    """field case G10, security case M16."""
    assert inputs(**given)[field] == sent
    assert field not in inputs()
