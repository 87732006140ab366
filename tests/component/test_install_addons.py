"""All add-ons of a cluster in one call: on a cluster that gpuyard did not create, twice in a program, with mistakes."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws import EksNodePool, addons, install_addons
from components.aws.addons import ClusterFacts
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options

FACTS: ClusterFacts = {
    "cluster": "train",
    "region": "us-east-1",
    "kubernetes_version": "1.35",
    "node_pools": {"cpu": GUIDE_CPU, "gpu": GUIDE_GPU},
}
ALL = [row.name for row in addons.ADDONS if row.name != "efa-device-plugin"]


def installed(pools: tuple[str, ...] = ("cpu", "gpu"), name: str = "", **facts: Any) -> tuple[list[str], Recording]:
    """Names of the components that the call returns, and the recording. `pools`: those that the program creates."""
    found: list[str] = []

    def program() -> None:
        options = aws_options()
        made = {
            pool: EksNodePool(
                pool,
                {
                    "pool": FACTS["node_pools"].get(pool, GUIDE_CPU),
                    "cluster": "train",
                    "kubernetes_version": "1.35",
                    "subnet_ids": dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])),
                    "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
                },
                options,
            )
            for pool in pools
        }
        found.extend(install_addons({**FACTS, **facts}, options, node_pools=made, name=name))  # type: ignore[typeddict-item]

    return found, run(program)


def test_one_call_installs_every_add_on_that_the_pools_need() -> None:
    found, made = installed()
    assert found == ALL
    assert made.without_provider() == []
    cpu, gpu = made.one("NodeGroup", "cpu-us-east-1a"), made.one("NodeGroup", "gpu-us-east-1a")
    coredns = made.one("aws:eks/addon:Addon", "coredns")
    assert made.must_outlive(cpu, coredns) and not made.must_outlive(gpu, coredns)
    assert made.must_outlive(gpu, made.one("kubernetes:helm.sh/v3:Release", "cluster-autoscaler-release"))


def test_an_existing_add_on_is_not_installed_and_others_work_with_it() -> None:
    found, made = installed(pools=(), existing_addons=["coredns", "monitoring"])
    assert found == [name for name in ALL if name not in ("coredns", "monitoring")]
    assert "alerts" in found, "the operator that they need is there"
    values = made.one("kubernetes:helm.sh/v3:Release", "dcgm-exporter-release").inputs["values"]
    assert values["serviceMonitor"]["enabled"] is True


def test_names_begin_with_the_name_of_the_cluster() -> None:
    found, made = installed(name="training", spec={"monitoring": False})
    assert "coredns" in found and made.one("aws:eks/addon:Addon", "training-coredns")


@pytest.mark.parametrize(
    ("facts", "path", "words"),
    [
        ({"spec": {"devicePlugin": False}}, "spec.devicePlugin", "write `device_plugin`"),
        ({"spec": {"scale_down_after_minutes": 0}}, "spec.scale_down_after_minutes", "1 to 1440"),
        ({"node_pools": {"gpu": {**GUIDE_GPU, "min": -1}}}, "node_pools.gpu.min", "negative"),
        ({"node_pools": {"cpu": GUIDE_CPU}}, "node_pools.gpu", "the facts have no pool of that name"),
        ({"kubernetes_version": "1.2"}, "kubernetes_version", "unknown value"),
        ({"region": "us_east_1"}, "region", "us-east-1"),
        ({"existing_addons": ["core-dns"]}, "existing_addons[0]", "write coredns"),
        ({"addon_versions": {"coredns": "1.13"}}, "addon_versions.coredns", "vX.Y.Z-eksbuild.N"),
        ({"roles": {"cluster_autoscaler": ""}}, "roles.cluster_autoscaler", "remove it"),
        ({"charts": {"mirror": "http://x.example.com"}}, "charts.mirror", "unencrypted"),
        ({"images": {"registry": "quay.io"}}, "images.registry", "public registry"),
    ],
)
def test_a_wrong_fact_is_refused_before_anything_is_registered(facts: dict[str, Any], path: str, words: str) -> None:
    registered: list[str] = []

    def program() -> None:
        gpu: dict[str, pulumi.Resource] = {"gpu": pulumi.ComponentResource("test:index:Pool", "gpu")}
        options = aws_options()
        try:
            install_addons({**FACTS, **facts}, options, node_pools=gpu)  # type: ignore[typeddict-item]
        except pulumi.RunError as error:
            registered.append(str(error))

    made = run(program)
    (text,) = registered
    assert text.startswith("install_addons: one value cannot work") and f"  {path} = " in text and words in text, text
    assert not [each for each in made.resources.values() if each.package == "gpuyard"]
