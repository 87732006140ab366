"""A file that changes while its environment exists: changes of immutable fields are refused at preview, with the
fix."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.changes import Effect
from recording.recording import Recording
from recording.stacks import record, recorded
from stack.aws import changes as aws_changes
from stack.gcp import changes as gcp_changes
from tests.config.network import DELETE
from tests.config.test_errors import PROBLEM, Reported, changed
from tests.deployed import changed as run

NET, CLUSTER = "gpuyard:network", "gpuyard:cluster"
OWNERS = {
    "vpcId": "vpc-0123456789abcdef0",
    "privateSubnetIds": {"us-west-2a": "subnet-0123456789abcdef0", "us-west-2b": "subnet-0123456789abcdef1"},
}
SHARED = {"network": "theirs", "subnetwork": "nodes"}

GOOGLE = {
    "gcp:project": "my-project",
    "gcp:region": "us-central1",
    f"{NET}/zones": ["us-central1-a"],
    "gpuyard:nodePools/cpu-workers/machineTypes": ["n2-standard-8"],
    "gpuyard:nodePools/gpu-workers/machineTypes": ["g2-standard-8"],
    "gpuyard:addons": {},
}

# (stack, simultaneous changes, path in the error → text that it must contain)
REFUSED: list[tuple[str, dict[str, Any], dict[str, list[str]]]] = [
    (
        "dev",
        {
            f"{NET}/cidr": "10.8.0.0/16",
            f"{NET}/zones": ["us-east-1a", "us-east-1c"],
            f"{CLUSTER}/name": "other",
            f"{CLUSTER}/version": "1.34",
        },
        {
            f"{NET}.cidr": ["10.0.0.0/16", "range of a VPC", "destroy"],
            f"{NET}.zones": ["us-east-1b", "control plane"],
            f"{CLUSTER}.name": ["gpuyard-dev", "new environment"],
            f"{CLUSTER}.version": ["never downgrades it", "write 1.35"],
        },
    ),
    (
        "dev",
        {
            "aws:region": "us-west-2",
            f"{NET}/cidr": DELETE,
            f"{NET}/zones": ["us-west-2a", "us-west-2b"],
            f"{NET}/existing": OWNERS,
        },
        {
            "aws:region": ["us-east-1", "cannot move to another region"],
            f"{NET}.existing": ["cannot move to another VPC"],
        },
    ),
    (
        "dev",
        {"gpuyard:cloud": "gcp", "aws:region": DELETE, **GOOGLE},
        {"gpuyard:cloud": ["aws", "cannot move to another cloud"]},
    ),
    (
        "dev-gke",
        {
            f"{NET}/cidr": "10.16.0.0/20",
            f"{NET}/podsCidr": "10.128.0.0/13",
            f"{NET}/servicesCidr": "10.80.0.0/20",
            f"{CLUSTER}/name": "other",
            f"{CLUSTER}/location": "us-central1-a",
            f"{CLUSTER}/version": "1.34",
            f"{CLUSTER}/podsPerNode": 64,
            "gcp:project": "another-project",
        },
        {
            f"{NET}.cidr": ["10.0.0.0/20"],
            f"{NET}.podsCidr": ["10.64.0.0/14", "the range of pods cannot change"],
            f"{NET}.servicesCidr": ["10.68.0.0/20"],
            f"{CLUSTER}.name": ["gpuyard-dev-gke"],
            f"{CLUSTER}.location": ["us-central1"],
            f"{CLUSTER}.version": ["never downgrades it"],
            f"{CLUSTER}.podsPerNode": ["110"],
            "gcp:project": ["my-project"],
        },
    ),
    (
        "dev-gke",
        {
            "gcp:region": "us-east1",
            f"{NET}/cidr": DELETE,
            f"{NET}/zones": ["us-east1-b"],
            f"{NET}/existing": SHARED,
        },
        {"gcp:region": ["us-central1"], f"{NET}.existing": ["cannot move to another network"]},
    ),
]


def reported_problems(
    stack: str, changes: dict[str, Any], before: Recording | None = None, **more: Any
) -> list[Reported]:
    """The problems of the changed file if `before` exists; without it, the environment of the stack's file."""
    with pytest.raises(pulumi.RunError) as caught:
        run(before or recorded(stack), changed(stack, changes), stack, **more)
    assert "nothing was changed" in str(caught.value)
    return [Reported(**found.groupdict()) for found in PROBLEM.finditer(str(caught.value))]


@pytest.mark.parametrize("finished", [True, False], ids=["up", "failed-up"])
@pytest.mark.parametrize("stack, changes, words", REFUSED, ids=[f"{s}-{len(c)}" for s, c, _ in REFUSED])
def test_immutable_fields_are_refused_with_the_existing_value_and_a_fix(
    stack: str, changes: dict[str, Any], words: dict[str, list[str]], finished: bool
) -> None:
    """Reliability cases R1, R2, R3 and R5: by comparison with what exists, also after a failed `up`."""
    found = {each.path: each for each in reported_problems(stack, changes, finished=finished)}
    assert set(words) <= set(found), found
    for path, texts in words.items():
        for text in texts:
            assert text in " ".join(map(str, vars(found[path]).values())), (text, found[path])


def test_every_immutable_field_has_a_test() -> None:
    """Reliability case R1: of both clouds' tables."""
    tried = {path.partition(":")[2] if path.startswith("gpuyard:net") or path.startswith("gpuyard:cl") else path
             for _, _, words in REFUSED for path in words}  # fmt: skip
    tried = {"gpuyard:cloud" if path == "cloud" else path for path in tried}
    for rules in (aws_changes.RULES, gcp_changes.RULES):
        wanted = {path for path, rule in rules.items() if rule.effect is Effect.REFUSED}
        elsewhere = ("network.existing.", "storage.", "teams.", "cluster.iam.roles.")
        left = {path for path in wanted - tried if not path.startswith(elsewhere)}
        assert left <= {"network.podsCidr", "cluster.serviceCidr"}


UNCHANGED: list[tuple[str, dict[str, Any]]] = [
    *((stack, {}) for stack in ("dev", "prod", "dev-gke", "prod-gke")),
    ("dev", {f"{NET}/podsCidr": "100.64.0.0/16"}),
    ("dev-gke", {"gpuyard:storage": {"filestore": {"namespace": "team", "zone": "us-central1-a"}}}),
]


@pytest.mark.parametrize("stack, changes", UNCHANGED, ids=[f"{s}-{len(c)}-{n}" for n, (s, c) in enumerate(UNCHANGED)])
def test_an_unchanged_file_gives_no_error_and_no_warning(
    stack: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reliability case R1: also if defaults are written out."""
    config = changed(stack, changes)
    reported: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: reported.append(text))
    before = record(config, stack)
    first, reported[:] = list(reported), []
    run(before, config, stack)
    assert reported == first


ENTRY = {"principalArn": "arn:aws:iam::123456789012:role/ann", "level": "view"}
BUCKET = {"bucket": "acme-data", "namespace": "training"}


@pytest.mark.parametrize(
    ("stack", "path", "last"),
    [
        ("dev", f"{CLUSTER}/access", {"ann.smith": ENTRY}),
        ("dev", "gpuyard:storage", {"buckets": {"data": BUCKET}}),
        ("dev-gke", "gpuyard:storage", {"buckets": {"data": BUCKET}}),
        (
            "dev-gke",
            f"{CLUSTER}/maintenance",
            {"exclusions": {"launch": {"first": "2026-12-20", "last": "2027-01-03"}}},
        ),
    ],
)
def test_the_last_entry_of_a_map_can_be_removed(stack: str, path: str, last: dict[str, Any]) -> None:
    """Reliability case R1: removing the last access entry or the last bucket caused a KeyError in the preview."""
    run(record(changed(stack, {path: last}), stack), changed(stack, {path: {}}), stack)


def test_a_name_with_a_dot_is_compared_like_others() -> None:
    """Reliability case R1."""
    before = record(changed("dev", {f"{CLUSTER}/access": {"ann.smith": ENTRY}}), "dev")
    run(before, changed("dev", {f"{CLUSTER}/access": {"ann.smith": {**ENTRY, "level": "edit"}}}), "dev")
