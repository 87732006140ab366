"""Objects of lost answers that block the next run (reliability case R7): the table of types."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from recording.recording import Resource
from recording.stacks import ALL, recorded
from sandbox import conflicts
from sandbox.aws.rows import rows as aws_rows
from sandbox.gcp.table import rows as gcp_rows

PLACES = {"project": "my-project", "region": "us-central1", "location": "us-central1"}
"""The inputs that the gcp provider fills in."""


def made(stack: str) -> Iterator[Resource]:
    for found in recorded(stack).resources.values():
        if found.custom and not found.is_provider:
            yield found


@pytest.mark.parametrize("stack", ALL)
def test_every_type_has_a_command_or_a_reason_why_it_needs_none(stack: str) -> None:
    """Reliability case R7. A new type must be added: what does the cloud answer to a second creation?"""
    kinds = {found.type for found in made(stack) if found.package != "kubernetes"}
    placed = {*conflicts.COMMANDS, *conflicts.NEVER}
    assert kinds <= placed, f"place these in sandbox/conflicts.py: {sorted(kinds - placed)}"


def test_every_type_is_in_the_table_once_and_is_used() -> None:
    assert not {*conflicts.COMMANDS} & {*conflicts.NEVER}
    dynamic = ("ClusterContents", "PoolPlan", "PoolHold", "PoolRelease")
    known = {*aws_rows(), *gcp_rows(), "kubernetes:helm.sh/v3:Release"}
    known |= {f"pulumi-python:dynamic/gpuyard:{name}" for name in dynamic}
    assert {*conflicts.COMMANDS, *conflicts.NEVER} <= known


@pytest.mark.parametrize("stack", ALL)
def test_the_inputs_of_every_object_give_a_complete_command(stack: str) -> None:
    """Reliability case R7: one valid shell line, without gaps, for the account or project of the stack."""
    for found in made(stack):
        if found.type in conflicts.NEVER:
            continue
        inputs = {**PLACES, **found.inputs} if found.package == "gcp" else found.inputs
        line = conflicts.command(found.type, inputs, "us-east-1" if found.package == "aws" else "")
        assert line and "\n" not in line and "{" not in re.sub(r"'\[\{.*\}\]'", "", line), found
        assert shlex.split(line)[0].partition("=")[2] or shlex.split(line)[0] in ("aws", "gcloud", "kubectl", "helm")
        assert all(part.startswith("--region us-east-1 ") for part in line.split("aws ")[1:] if found.package == "aws")
        if found.package == "gcp":
            assert line.count("--project=") == line.count("gcloud ")


@pytest.mark.parametrize("stack", ALL)
def test_a_type_with_an_explicit_name_conflicts(stack: str) -> None:
    """reliability case R7: a type may be in the table of those that never conflict only if the program never names
    it."""
    for found in made(stack):
        if conflicts.NEVER.get(found.type) == conflicts.NEVER["aws:iam/role:Role"]:
            named = {"name", "nodeGroupName", "roleName"} & found.inputs.keys()
            assert not named, f"the program names {found}: {named}"


def test_the_command_removes_deletion_protection_first() -> None:
    """reliability case R7"""
    line = conflicts.command("aws:eks/cluster:Cluster", {"name": "mine", "deletionProtection": True})
    steps = [step.split()[2] for step in line.split(" && ")]
    assert steps == ["update-cluster-config", "wait", "delete-cluster", "wait"]


@pytest.mark.parametrize(
    ("token", "inputs", "command"),
    [
        (
            "kubernetes:core/v1:Namespace",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "watch"}},
            "kubectl delete namespace watch",
        ),
        (
            "kubernetes:monitoring.coreos.com/v1:PrometheusRule",
            {
                "apiVersion": "monitoring.coreos.com/v1",
                "kind": "PrometheusRule",
                "metadata": {"name": "alerts", "namespace": "monitoring"},
            },
            "kubectl delete prometheusrule.monitoring.coreos.com alerts --namespace monitoring",
        ),
    ],
)
def test_an_object_of_kubernetes_is_named_with_its_group(token: str, inputs: dict, command: str) -> None:
    assert conflicts.command(token, inputs) == command
