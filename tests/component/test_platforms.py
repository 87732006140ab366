"""Platforms as options: each is placed, protected, the same on both clouds, and checks its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components import platforms, versions
from components.charts import rendered
from components.charts.rendered import Object, Request
from components.platforms import argo_workflows, kserve, training_runtimes
from recording import charts
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import aws_options, gcp_options

CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinitionPatch"
GPU_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
SYSTEM = {"key": "dedicated", "value": "system", "effect": "NoSchedule"}
POOLS: dict[str, Any] = {
    "system": {"taints": [SYSTEM]},
    "h100": {"gpus": 8, "labels": {"gpuyard.dev/pool": "h100"}, "taints": [GPU_TAINT]},
}
PLATFORMS: dict[str, Callable[..., pulumi.ComponentResource]] = {
    name: getattr(platforms, name)
    for name in ("ArgoWorkflows", "CertManager", "JobSet", "KServe", "Keda", "KubeflowTrainer", "LeaderWorkerSet")
}
each_platform = pytest.mark.parametrize("platform", PLATFORMS)


def made(platform: str, options: Callable[[], pulumi.ResourceOptions] = aws_options, **args: Any) -> Recording:
    return run(lambda: PLATFORMS[platform]("x", args, options()))


def asked(platform: str, **args: Any) -> list[Request]:
    """What is rendered for these arguments."""
    requests: list[Request] = []

    def renderer(request: Request) -> list[Object]:
        requests.append(request)
        return charts.objects(request)

    with rendered.using(renderer):
        made(platform, **args)
    return requests


@each_platform
@pytest.mark.parametrize("options", [aws_options, gcp_options], ids=["eks", "gke"])
def test_a_platform_is_placed_and_its_kinds_are_kept(
    platform: str, options: Callable[[], pulumi.ResourceOptions]
) -> None:
    """seed row S23"""
    found = made(platform, options, pools=POOLS)
    assert not found.orphans() and not found.without_provider()
    for deployment in found.all("Deployment"):
        spec = deployment.inputs["spec"]["template"]["spec"]
        assert spec["tolerations"] == [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}]
        assert spec["affinity"]["nodeAffinity"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert found.one("Namespace") in found.dependencies(deployment)
    for crd in found.all(CRD):
        assert crd.options["protect"] and crd.options["retainOnDelete"]
        assert not crd.dependencies, "definitions come first"
    component = found.one(f"gpuyard:index:{platform}")
    assert component.outputs["namespace"] == found.one("Namespace").inputs["metadata"]["name"]


@each_platform
def test_images_and_charts_come_from_where_the_caller_says(platform: str) -> None:
    images = {"registry": "reg.example.com"}
    found = made(platform, images=images, pools=POOLS)
    pulled = [
        container["image"]
        for deployment in found.all("Deployment")
        for container in deployment.inputs["spec"]["template"]["spec"]["containers"]
    ]
    assert pulled and all(image.startswith("reg.example.com/") for image in pulled)
    assert all(request.images == images for request in asked(platform, images=images))
    with pytest.raises(pulumi.RunError, match=r"images\.registry = 'quay.io': a public registry"):
        made(platform, images={"registry": "quay.io"})
    with pytest.raises(pulumi.RunError, match="the controllers have no node to run on"):
        made(platform, pools={"gpu": {"gpus": 1}})


def test_two_of_a_kind_in_one_program_work() -> None:
    """In two clusters: names of children begin with the component's."""

    def program() -> None:
        for name in ("one", "two"):
            platforms.JobSet(name, {}, aws_options(name))

    assert len(run(program).all("Deployment")) == 2


class TestKubeflowTrainer:
    def test_a_bare_job_lands_on_the_pool_of_its_runtime(self) -> None:
        """seed row S23"""
        found = made("KubeflowTrainer", pools=POOLS)
        runtime = found.one(training_runtimes.TOKEN).inputs
        assert runtime["metadata"]["name"] == "torch-h100"
        (job,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
        pod = job["template"]["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"gpuyard.dev/pool": "h100"}
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
        assert pod["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": 8}
        assert found.one("gpuyard:index:KubeflowTrainer").outputs["runtimes"] == {"h100": "torch-h100"}

    def test_runtimes_wait_for_the_controller_and_need_not_its_webhook(self) -> None:
        found = made("KubeflowTrainer", pools=POOLS)
        runtime = found.one(training_runtimes.TOKEN)
        assert found.one("Deployment") in found.dependencies(runtime)
        assert runtime.inputs["metadata"]["labels"]["trainer.kubeflow.org/webhook-validation"] == "disabled"

    def test_runtimes_are_a_choice(self) -> None:
        assert not made("KubeflowTrainer", pools=POOLS, runtimes=False).all("ClusterTrainingRuntime")
        found = made("KubeflowTrainer", pools=POOLS, runtime_image="ghcr.io/me/train:1")
        job = found.one(training_runtimes.TOKEN).inputs["spec"]["template"]["spec"]["replicatedJobs"][0]
        assert job["template"]["spec"]["template"]["spec"]["containers"][0]["image"] == "ghcr.io/me/train:1"

    def test_jobset_is_not_installed_twice_and_no_hook_downloads_kubectl(self) -> None:
        (request,) = asked("KubeflowTrainer")
        assert request.values["jobset"] == {"install": False} and "runtimes" not in request.values

    @pytest.mark.parametrize("name", ["x" * 58, "Gpu"])
    def test_a_pool_whose_name_no_runtime_can_have_is_refused(self, name: str) -> None:
        with pytest.raises(
            pulumi.RunError, match=r"pools\.(Gpu|x{58}) = .*would not have a valid name\n.*\n.*the pool"
        ):
            made("KubeflowTrainer", pools={"cpu": {}, name: {"gpus": 1}})
        made("KubeflowTrainer", pools={"cpu": {}, "x" * 57: {"gpus": 1}})

    @pytest.mark.parametrize("image", ["", "a b", "PyTorch", "pytorch:", "x@sha256:1"])
    def test_the_image_of_runtimes_is_a_name(self, image: str) -> None:
        with pytest.raises(pulumi.RunError, match=r"runtime_image = .*: not the name of an image"):
            made("KubeflowTrainer", runtime_image=image)


class TestArgoWorkflows:
    def test_no_hook_downloads_definitions(self) -> None:
        """argo-workflows#16621"""
        (request,) = asked("ArgoWorkflows")
        assert request.values["crds"] == {"full": False, "keep": False}
        assert request.values["server"]["enabled"] is False

    def test_only_chosen_namespaces_get_the_account(self) -> None:
        """The chart's default is the namespace `default`."""
        assert asked("ArgoWorkflows")[0].values["workflow"]["rbac"] == {"create": False}
        values = asked("ArgoWorkflows", workflow_namespaces=["ml"])[0].values
        assert values["controller"]["workflowNamespaces"] == ["ml"]
        assert values["workflow"]["serviceAccount"]["create"] is True
        assert argo_workflows.SERVICE_ACCOUNT == "argo-workflow"

    def test_a_namespace_is_named_once(self) -> None:
        with pytest.raises(pulumi.RunError, match=r"workflow_namespaces\[1\] = 'ml': named twice"):
            made("ArgoWorkflows", workflow_namespaces=["ml", "ml"])


class TestKServe:
    def controller(self, **args: Any) -> dict[str, Any]:
        return asked("KServe", **args)[1].values["kserve"]["controller"]

    def test_it_runs_in_standard_mode_without_routes(self) -> None:
        """The chart's default needs Knative."""
        given = self.controller()
        assert given["deploymentMode"] == "Standard" and given["gateway"]["disableIngressCreation"] is True

    def test_a_gateway_reaches_services_under_its_domain(self) -> None:
        given = self.controller(gateway="gateways/internal", domain="models.example.com")["gateway"]
        assert given["disableIngressCreation"] is False and given["domain"] == "models.example.com"
        assert given["ingressGateway"]["kserveGateway"] == "gateways/internal"

    @pytest.mark.parametrize(
        ("args", "error"),
        [
            ({"gateway": "internal", "domain": "x.example.com"}, "gateway = 'internal': not a namespace and a name"),
            ({"gateway": "a/b"}, "a gateway without a domain"),
            ({"domain": "x.example.com"}, "a domain without a gateway"),
            ({"gateway": "a/b", "domain": "X_Y"}, "domain = 'X_Y': not a domain"),
        ],
    )
    def test_a_wrong_gateway_is_one_error(self, args: dict[str, Any], error: str) -> None:
        with pytest.raises(pulumi.RunError) as raised:
            made("KServe", **args)
        assert error in str(raised.value)

    def test_a_mistake_that_concerns_both_charts_is_one_error(self) -> None:
        with pytest.raises(pulumi.RunError, match="one value cannot work"):
            made("KServe", images={"registry": "http://mirror"})

    def test_its_controller_waits_for_the_definitions_of_the_other_chart(self) -> None:
        found = made("KServe")
        (deployment,) = (each for each in found.all("Deployment") if "kserve-resources" in each.name)
        before = {crd.name for crd in found.dependencies(deployment) if crd.type == CRD}
        assert any(versions.KSERVE_CRD.name in name for name in before)
        assert len(found.all("Namespace")) == 1

    def test_settings_have_no_manual(self) -> None:
        config: Object = {"kind": "ConfigMap", "data": {"_example": "…", "deploy": "{}"}}
        assert kserve._without_example(config)["data"] == {"deploy": "{}"}
