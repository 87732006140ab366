"""Decisions after a kill, a reboot or a damaged file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox import lock, paths, process, recovery
from sandbox.errors import SandboxError
from sandbox.plugins import journal
from sandbox.stacks import Stack

GOOD = {"version": 3, "checkpoint": {"latest": {"resources": [{"urn": "u", "type": "a:b:C", "custom": True}]}}}


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: gpuyard\nruntime: python\n")
    paths.folder("run")
    Stack("dev").state.parent.mkdir(parents=True)
    return tmp_path


def creating(urn: str) -> dict:
    return {"type": "creating", "resource": {"urn": urn, "type": "a:b:C", "inputs": {"x": 1}}}


def test_an_unfinished_create_in_the_journal_is_imported_and_any_other_is_dropped() -> None:
    update = {"type": "updating", "resource": {"urn": "c", "type": "a:b:C"}}
    latest = {
        "manifest": {},
        "resources": [{"urn": "c", "id": "id-c"}],
        "pending_operations": [creating("a"), creating("b")],
    }
    latest["pending_operations"].append(update)
    settled = recovery.settle(latest, {"a": "id-a", "c": "id-c"})
    assert settled["pending_operations"] == []
    assert settled["manifest"] == {}
    assert settled["resources"] == [
        {"urn": "c", "id": "id-c"},
        {"urn": "a", "type": "a:b:C", "inputs": {"x": 1}, "id": "id-a"},
    ]


def test_the_old_object_of_a_replacement_is_kept_for_deletion() -> None:
    latest = {"resources": [{"urn": "a", "id": "old"}], "pending_operations": [creating("a")]}
    assert recovery.settle(latest, {"a": "old"})["resources"] == [{"urn": "a", "id": "old"}]
    new = recovery.settle(latest, {"a": "new"})["resources"]
    assert [(each["id"], each.get("delete")) for each in new] == [("old", True), ("new", None)]


def test_the_journal_survives_a_torn_last_line() -> None:
    journal.note("a", "1")
    journal.note("a", "2")
    with (paths.home() / "run" / "created.jsonl").open("a") as torn:
        torn.write('["b", "')
    assert journal.ids() == {"a": "2"}
    journal.clear()
    assert journal.ids() == {}


def test_readable_state_is_unchanged() -> None:
    Stack("dev").state.write_text(json.dumps(GOOD))
    recovery.repair_state(Stack("dev"), pytest.fail)
    assert json.loads(Stack("dev").state.read_text()) == GOOD


def test_attributes_next_to_the_state_are_deleted() -> None:
    """A killed engine leaves them empty, and the next one fails with `failed to load checkpoint: EOF`."""
    state = Stack("dev").state
    state.write_text(json.dumps(GOOD))
    sidecar = state.with_name("dev.json.attrs")
    sidecar.write_text("")
    recovery.repair_state(Stack("dev"), pytest.fail)
    assert state.exists() and not sidecar.exists()


def test_damaged_state_is_set_aside_and_its_backup_is_used() -> None:
    state, message = Stack("dev").state, []
    state.write_text('{"version": 3, "chec')
    state.with_name("dev.json.bak").write_text(json.dumps(GOOD))
    recovery.repair_state(Stack("dev"), message.append)
    assert json.loads(state.read_text()) == GOOD
    assert [path.read_text() for path in (paths.home() / "attic").iterdir()] == ['{"version": 3, "chec']
    assert "unreadable" in message[0]
    assert (paths.home() / "run" / "refresh-dev").exists()


def test_without_a_backup_the_clouds_are_emptied() -> None:
    Stack("dev").state.write_text("")
    (paths.folder("aws") / "snapshot.pickle").write_text("x")
    recovery.repair_state(Stack("dev"), lambda line: None)
    assert not Stack("dev").exists
    assert not (paths.home() / "aws").exists()


def test_without_a_backup_another_stacks_objects_are_not_touched() -> None:
    Stack("dev").state.write_text("")
    Stack("guide").state.write_text(json.dumps(GOOD))
    (paths.folder("aws") / "snapshot.pickle").write_text("x")
    with pytest.raises(SandboxError, match="guide"):
        recovery.repair_state(Stack("dev"), lambda line: None)
    assert (paths.home() / "aws" / "snapshot.pickle").exists()


def test_an_engine_whose_command_was_killed_is_stopped() -> None:
    mark = {**os.environ, process.MARK: "engine"}
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    # A background job may ignore SIGINT, and this child would inherit that.
    orphan = subprocess.Popen(argv, env=mark, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    try:
        deadline = time.monotonic() + 5
        while not process.strays("engine") and time.monotonic() < deadline:
            time.sleep(0.05)
        recovery.end_orphans(lambda line: None)
        assert orphan.wait(5) != 0
    finally:
        orphan.kill()


def test_a_second_command_reports_the_running_one() -> None:
    with (
        lock.exclusive("up dev"),
        pytest.raises(SandboxError, match=rf"`up dev` is using this sandbox \(pid {os.getpid()}, since \d\d:"),
        lock.exclusive("down"),
    ):
        pass
    with lock.exclusive("down"):
        pass


def test_the_lock_file_of_a_dead_process_does_not_block() -> None:
    (paths.folder() / "lock").write_text('{"command": "up", "pid": 1, "since": 0}')
    with lock.exclusive("up"):
        pass


def test_only_a_creation_that_brought_no_id_stays_in_the_journal_without_one() -> None:
    """Otherwise each command searches the cloud for everything that was ever created."""
    for urn, id, attempt in (
        ("made", "", "a"), ("made", "1", "a"), ("made", "1", ""), ("lost", "", "b"),
        ("again", "", "c"), ("again", "", "d"), ("again", "2", "d"), ("changed", "", "e"), ("changed", "old", ""),
    ):  # fmt: skip
        journal.note(urn, id, attempt=attempt)
    left = [("made", "1"), ("lost", ""), ("again", ""), ("again", "2"), ("changed", ""), ("changed", "old")]
    assert [(each.urn, each.id) for each in journal.entries()] == left
    journal.keep(lambda made: True)
    assert [(each.urn, each.id) for each in journal.entries()] == left
    journal.note("made", "", attempt="f")
    assert ("made", "") in [(each.urn, each.id) for each in journal.entries()]
