"""The sandbox's view of a stack: its file is not changed, its state may be damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox import paths, stacks
from sandbox.errors import SandboxError
from sandbox.stacks import Checkpoint, CorruptState, Stack

SALT = "encryptionsalt: v1:abc:v1:def:ghi\n"


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    monkeypatch.delenv("STACK", raising=False)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text(
        "name: gpuyard\nruntime: python\nconfig:\n  gpuyard:cloud:\n    type: string\n    default: aws\n"
    )
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  aws:region: us-east-1 # here\n")
    return tmp_path


def test_the_copy_of_the_tracked_file_keeps_the_salt_of_an_earlier_run(clone: Path) -> None:
    tracked = (clone / "Pulumi.dev.yaml").read_bytes()
    copy = Stack("dev").prepare()
    copy.write_text(copy.read_text() + SALT)
    (clone / "Pulumi.dev.yaml").write_bytes(tracked.replace(b"us-east-1", b"us-west-2"))
    text = Stack("dev").prepare().read_text()
    assert "us-west-2 # here" in text
    assert text.endswith(SALT)
    assert b"salt" not in (clone / "Pulumi.dev.yaml").read_bytes()


def test_the_salt_of_the_users_passphrase_is_removed_if_there_are_no_secrets(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").write_text("secretsprovider: awskms://alias/x\nconfig:\n  a:b: c\n" + SALT)
    assert Stack("dev").prepare().read_text() == "config:\n  a:b: c\n"


def test_secrets_under_a_clouds_key_are_refused(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").write_text("secretsprovider: awskms://alias/x\nconfig:\n  a:b:\n    secure: xyz\n")
    with pytest.raises(SandboxError, match="encrypted with a cloud's key"):
        Stack("dev").prepare()


def test_cloud_and_region_are_read_from_the_file_then_from_the_project(clone: Path) -> None:
    assert (Stack("dev").cloud, Stack("dev").region) == ("aws", "us-east-1")
    (clone / "Pulumi.gke.yaml").write_text("config:\n  gpuyard:cloud: gcp\n  gcp:region: us-central1\n")
    assert (Stack("gke").cloud, Stack("gke").region) == ("gcp", "us-central1")


def test_the_error_for_a_missing_stack_lists_the_existing_ones() -> None:
    with pytest.raises(SandboxError) as caught:
        _ = Stack("prodd").config
    assert "Pulumi.prodd.yaml is missing" in caught.value.problem
    assert "dev" in caught.value.fix


@pytest.mark.parametrize("text", ["config:\n  a: [1\n", "just words", "config: [1, 2]\n", "- a\n"])
def test_a_broken_file_is_one_error_that_names_it(clone: Path, text: str) -> None:
    (clone / "Pulumi.dev.yaml").write_text(text)
    with pytest.raises(SandboxError, match=r"Pulumi\.dev\.yaml.* cannot be read as YAML"):
        _ = Stack("dev").config


@pytest.mark.parametrize("name", ["../etc", "a b", "", "x" * 101])
def test_a_name_that_pulumi_would_refuse_is_refused(name: str) -> None:
    if name:
        with pytest.raises(SandboxError, match="is not a valid stack name"):
            stacks.chosen(name)


def test_the_stack_defaults_to_the_last_one_then_to_dev(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stacks.chosen(None).name == "dev"
    stacks.remember(Stack("guide"))
    assert stacks.chosen(None).name == "guide"
    monkeypatch.setenv("STACK", "dev-gke")
    assert stacks.chosen(None).name == "dev-gke"
    assert stacks.chosen("prod").name == "prod"


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"version": 3}', '{"checkpoint": []}', '{"checkpoint": {"latest": [1]}}'),
        *(
            f'{{"checkpoint": {{"latest": {{{inner}}}}}}}'
            for inner in (
                '"resources": [{}]',
                '"resources": {"a": 1}',
                '"resources": [{"urn": 1, "type": "b"}]',
                '"resources": [{"urn": "a", "type": "b", "outputs": 5}]',
                '"manifest": "x"',
                '"pending_operations": [{}]',
            )
        ),
    ],
)
def test_unreadable_state_is_reported(clone: Path, text: str) -> None:
    (clone / "state.json").write_text(text)
    with pytest.raises(CorruptState):
        stacks.read(clone / "state.json")


def test_secret_outputs_are_omitted() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "x"}
    stack = {
        "type": "pulumi:pulumi:Stack",
        "urn": "u",
        "outputs": {"a": 1, "kubeconfig": secret, "deep": {"list": [secret]}},
    }
    assert Checkpoint({"resources": [stack]}).outputs == {"a": 1}


def test_a_stack_without_deployment_has_no_resources(clone: Path) -> None:
    state = Stack("dev").state
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"version": 0, "checkpoint": {"stack": "organization/gpuyard/dev"}}))
    assert Stack("dev").checkpoint().resources == []
    assert [stack.name for stack in stacks.existing()] == ["dev"]
