"""Engine events become progress, facts and one clear error; a small stand-in replays recorded events."""

from __future__ import annotations

import json
import os
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox import environment, paths, progress
from sandbox.engine import Engine, clean, label
from sandbox.errors import SandboxError
from sandbox.stacks import Stack

URN = "urn:pulumi:dev::gpuyard::gpuyard:index:NodePool$aws:eks/nodeGroup:NodeGroup::gpu-workers"
STACK = "urn:pulumi:dev::gpuyard::pulumi:pulumi:Stack::gpuyard-dev"


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`play(events, code, output)` returns an engine whose `pulumi` writes those events and exits with that code."""
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: gpuyard\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")

    def make(events: list[dict], code: int = 0, output: str = "", more: str = "") -> Engine:
        program = tmp_path / "pulumi"
        (tmp_path / "events").write_text("".join(json.dumps(event) + "\n" for event in events))
        program.write_text(
            f"#!{sys.executable}\nimport shutil, sys, time, signal, os\n"
            f"log = sys.argv[sys.argv.index('--event-log') + 1]\nshutil.copy({str(tmp_path / 'events')!r}, log)\n"
            f"print({output!r})\n{more}\nsys.exit({code})\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return Engine(Stack("dev"), program)

    return make


def step(kind: str, op: str, urn: str = URN) -> dict:
    type = urn.split("::")[2].rsplit("$", 1)[-1]
    return {kind: {"metadata": {"op": op, "urn": urn, "type": type, "new": {"custom": True}, "diffs": ["tags"]}}}


def event(severity: str, message: str, urn: str = STACK, **more: object) -> dict:
    return {"diagnosticEvent": {"severity": severity, "message": message, "urn": urn, **more}}


def test_counts_steps_and_warnings_are_taken_from_the_events(play, capsys) -> None:
    engine = play(
        [
            step("resourcePreEvent", "create"),
            step("resOutputsEvent", "create"),
            event("warning", "<{%reset%}>the chart could not be reached<{%reset%}>\n", URN),
            event("warning", "using pulumi-resource-aws from $PATH at /x\n"),
            event("warning", "passing by", ephemeral=True),
            event("info#err", "  File x, line 1"),
            event("info", "said by the program"),
            {"summaryEvent": {"resourceChanges": {"create": 1, "same": 3}}},
        ]
    )
    outcome = engine.run("up")
    assert outcome.changes == {"create": 1, "same": 3}
    notes = capsys.readouterr().err
    assert "said by the program" in notes
    assert "line 1" not in notes
    assert outcome.changed == 1
    assert [each["urn"] for each in outcome.steps] == [URN]
    assert outcome.warnings == ["aws eks NodeGroup gpu-workers: the chart could not be reached"]


def test_values_of_one_run_are_set_in_the_copy_of_the_stacks_file(play, tmp_path: Path) -> None:
    """As paths: a whole map must not be replaced by one value. The next run has the file's values again."""
    engine = play([])
    real = engine.pulumi.read_text()
    engine.pulumi.write_text(
        f"#!{sys.executable}\nimport sys\nif sys.argv[4] == 'config':\n"
        f"    open(sys.argv[sys.argv.index('--config-file') + 1], 'a').write(' '.join(sys.argv[4:]))\n"
        f"    sys.exit()\n{real}"
    )
    engine.run("up", values=("gpuyard:a.b=1", "c:d=x=y"))
    assert "config set-all --path --stack dev" in engine.stack.copy.read_text()
    assert engine.stack.copy.read_text().endswith("--plaintext gpuyard:a.b=1 --plaintext c:d=x=y")
    engine.run("up")
    assert engine.stack.copy.read_text() == (tmp_path / "Pulumi.dev.yaml").read_text()


def test_a_failure_shows_the_providers_message_once(play) -> None:
    inner = "ResourceInUseException: NodeGroup already exists"
    engine = play(
        [
            event("error", f"1 error occurred:\n\t* creating {URN}: rpc error: code = Unknown desc = {inner}\n", URN),
            event("error", f"1 error occurred:\n\t* creating {URN}: rpc error: code = Unknown desc = {inner}\n", URN),
            event("error", "Program failed:\nTraceback (most recent call last):\n  x\nE: y\n"),
            event("error", "update failed"),
        ],
        code=255,
    )
    with pytest.raises(SandboxError) as caught:
        engine.run("up", quiet=True)
    assert caught.value.detail == f"aws eks NodeGroup gpu-workers: {inner}"
    assert "run the same command again" in caught.value.fix


def test_follow_up_messages_of_plugins_and_engine_are_omitted(play) -> None:
    gone = "Detected that /x/pulumi-resource-aws exited prematurely.\n This is *always* a bug in the provider."
    closing = "resource 'cluster-eks' has a problem: grpc: the client connection is closing"
    for events, expected in (
        (
            [event("error", closing), event("error", "invalid principal", URN), event("error", gone)],
            "invalid principal",
        ),
        ([event("error", gone)], "exited prematurely"),
    ):
        with pytest.raises(SandboxError) as caught:
            play(events, code=255).run("up", quiet=True)
        assert expected in caught.value.detail and len(caught.value.detail.splitlines()) <= 2
        assert ("exited prematurely" in caught.value.detail) is (expected == "exited prematurely")


def test_a_config_error_keeps_its_own_lines(play) -> None:
    text = "gpuyard:nodePools.cpu-workers: min 5 is larger than max 2.\nFix: lower min"
    engine = play(
        [event("error", text + "\n"), event("error", "an unhandled error occurred: program exited …")], code=1
    )
    with pytest.raises(SandboxError) as caught:
        engine.run("preview", quiet=True)
    assert caught.value.detail == text


def test_a_failure_before_the_first_event_is_read_from_the_output(play) -> None:
    engine = play([], code=255, output="error: could not load Pulumi.dev.yaml\nwarning: x")
    with pytest.raises(SandboxError) as caught:
        engine.run("up", quiet=True)
    assert caught.value.detail == "could not load Pulumi.dev.yaml"


def test_the_progress_of_a_killed_engine_is_not_an_error(play) -> None:
    with pytest.raises(SandboxError) as caught:
        play([], output="@ updating......", more="os.kill(os.getpid(), signal.SIGKILL)").run("up")
    assert "ended by signal 9" in str(caught.value) and "updating" not in str(caught.value)
    assert "nothing is wrong with the config: run the same command again" in str(caught.value)


def test_the_first_interrupt_is_passed_on_and_the_run_ends_as_interrupted(play) -> None:
    more = (
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(255))\n"
        "open(os.path.join(os.path.dirname(log), 'ready'), 'w').close()\ntime.sleep(30)"
    )
    engine = play([], more=more)

    def interrupt() -> None:
        deadline = time.monotonic() + 10
        while not list(paths.folder("run").glob("events-*/ready")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), 2)

    thread = threading.Thread(target=interrupt)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.run("up", quiet=True)
    thread.join()
    assert time.monotonic() - begun < 20


def test_the_engine_gets_no_credentials_and_the_copy_of_the_config(play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "company")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "pul-x")
    monkeypatch.setattr(os, "environ", os.environ.copy())
    more = "open(os.environ['GPUYARD_SANDBOX'] + '/seen', 'w').write(repr((dict(os.environ), sys.argv)))"
    engine = play([], more=more)
    environment.isolate()
    engine.run("up", quiet=True)
    variables, argv = eval((paths.home() / "seen").read_text())
    assert not {"AWS_PROFILE", "GOOGLE_APPLICATION_CREDENTIALS", "PULUMI_ACCESS_TOKEN"} & set(variables)
    assert variables["PULUMI_BACKEND_URL"] == f"file://{paths.home()}/state?metadata=skip"
    assert argv[argv.index("--config-file") + 1] == str(Stack("dev").copy)


@pytest.mark.parametrize(
    ("urn", "name"),
    [
        (URN, "aws eks NodeGroup gpu-workers"),
        ("urn:pulumi:d::p::kubernetes:core/v1:Namespace::ns", "kubernetes core Namespace ns"),
        ("urn:pulumi:d::p::eks:index:Cluster::c", "eks Cluster c"),
        (STACK, ""),
        ("", ""),
    ],
)
def test_a_resource_is_named_by_package_kind_and_name(urn: str, name: str) -> None:
    assert label(urn) == name


def test_a_traceback_is_reduced_to_its_last_line() -> None:
    text = "Program failed:\nTraceback (most recent call last):\n  File x\n    raise\nValueError: the value\nis wrong\n"
    assert clean(text) == "ValueError: the value\nis wrong"


def test_a_fix_below_a_traceback_is_not_used_as_its_last_line() -> None:
    text = (
        "Traceback (most recent call last):\n  File x\nsandbox.errors.SandboxError: it does not run.\nFix: start it\n"
    )
    assert clean(text).endswith("it does not run.\nFix: start it")


def test_progress_goes_on_while_the_engine_is_silent(play, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", 0.1)
    play([step("resourcePreEvent", "create")], more="time.sleep(1)").run("up")
    assert capsys.readouterr().err.count("up dev: starting, 1 under way") >= 3


def test_a_preview_reports_what_is_to_be_done(play, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT", 0.1)
    halves = ("create-replacement", "replace", "delete-replaced")
    steps = [step(kind, op) for op in halves for kind in ("resourcePreEvent", "resOutputsEvent")]
    play(steps, more="time.sleep(1)").run("preview")
    assert "preview dev: 1 to replace (" in capsys.readouterr().err
