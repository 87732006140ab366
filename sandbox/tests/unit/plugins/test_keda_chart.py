"""The chart of KEDA that is made from its module."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.plugins import chart, module_chart
from tools.manifest import TOOLS

VERSION = TOOLS["keda-operator"].pinned.removeprefix("v")
VALUES = {
    "nodeSelector": {"pool": "cpu"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
    "resources": {"operator": {"limits": {"memory": "1Gi"}}},
    "image": {"keda": {"registry": "mirror.example.com", "tag": "1"}},
    "serviceAccount": {"operator": {"annotations": {"role": "reader"}}},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("keda")
    package = module_chart.package("keda", VERSION, folder)
    values = Path(folder, "values.json")
    values.write_text(json.dumps(VALUES))
    done = chart.helm("template", "keda", str(package), "-n", "scaling", "--include-crds", "--values", str(values))
    assert not done.returncode, done.stderr
    return list(chart.objects(done.stdout))


def test_it_honours_what_decides_where_and_how_pods_run(rendered: list[dict]) -> None:
    deployments = [each for each in rendered if each["kind"] == "Deployment"]
    pods = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in deployments}
    assert set(pods) == {"keda-operator", "keda-metrics-apiserver"}
    for spec in pods.values():
        assert spec["nodeSelector"]["pool"] == "cpu" and spec["tolerations"] == VALUES["tolerations"]
    operator, server = (pods[name]["containers"][0] for name in ("keda-operator", "keda-metrics-apiserver"))
    assert operator["image"] == "mirror.example.com/kedacore/keda:1"
    assert server["image"] == f"ghcr.io/kedacore/keda-metrics-apiserver:{VERSION}"
    assert operator["resources"]["limits"]["memory"] == "1Gi"
    (account,) = [each for each in rendered if each["kind"] == "ServiceAccount"]
    assert account["metadata"]["annotations"] == {"role": "reader"}


def test_everything_is_in_the_namespace_of_the_release(rendered: list[dict]) -> None:
    assert {each["metadata"].get("namespace") for each in rendered} == {None, "scaling", "kube-system"}
    subjects = [s for each in rendered for s in each.get("subjects", ()) if s["name"].startswith("keda")]
    assert {each["namespace"] for each in subjects} == {"scaling"}


def test_its_kinds_have_the_changes_of_kedas_own_installation(rendered: list[dict]) -> None:
    kinds = {each["metadata"]["name"]: each for each in rendered if each["kind"] == "CustomResourceDefinition"}
    assert {"scaledobjects.keda.sh", "scaledjobs.keda.sh", "triggerauthentications.keda.sh"} <= set(kinds)
    jobs, objects = (
        kinds[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        for name in ("scaledjobs.keda.sh", "scaledobjects.keda.sh")
    )
    assert "metricType" not in jobs["triggers"]["items"]["properties"]
    assert "metricType" in objects["triggers"]["items"]["properties"]
