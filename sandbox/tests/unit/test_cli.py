"""The commands as a user or a program runs them: exit codes, one message, no traceback, clean stdout."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sandbox import cli, down, environment, paths, plain, process
from tools.errors import ToolError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    monkeypatch.setenv("GPUYARD_VENV", sys.prefix)
    monkeypatch.delenv("STACK", raising=False)
    return tmp_path / "sandbox"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False)


def test_help_names_every_command() -> None:
    message = CliRunner().invoke(cli.cli, ["--help"]).output
    for command in ("up", "preview", "down", "status", "demo", "env", "shell", "kubectl", "logs"):
        assert f"\n  {command} " in message


def test_status_without_a_sandbox_is_json_and_creates_no_folder(sandbox: Path) -> None:
    done = run("status", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["stack"]["name"] == "dev"
    assert facts["stacks_up"] == facts["node_pools"] == facts["sandbox"]["processes"] == []
    assert not sandbox.exists()


def test_down_without_a_sandbox_succeeds(sandbox: Path) -> None:
    done = run("down")
    assert (done.returncode, done.stdout) == (0, "")
    assert not sandbox.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["up", "--stack", "no-such"], 1, "Pulumi.no-such.yaml is missing"),
        (["up", "--stack", "../x"], 1, "is not a valid stack name"),
        (["env"], 1, "Stack dev is not up"),
        (["demo"], 1, "Stack dev is not up"),
        (["logs", "nothing"], 1, "no log named"),
        (["upp"], 2, "upp"),
        (["up", "--stak", "dev"], 2, "--stak"),
    ],
)
def test_a_wrong_command_is_one_message_on_stderr(arguments: list[str], code: int, message: str) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_a_defect_is_one_message_and_its_traceback_is_in_a_file(monkeypatch, capsys, sandbox: Path) -> None:
    monkeypatch.setattr(cli.status, "collect", lambda stack: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["sandbox", "status"])
    monkeypatch.setattr(environment, "isolate", lambda: None)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    assert "ZeroDivisionError" in (sandbox / "run" / "crash.log").read_text()


def failing(monkeypatch, error: Exception) -> None:
    """`status` fails with this error."""

    def fail(stack: object) -> None:
        raise error

    monkeypatch.setattr(cli.status, "collect", fail)
    monkeypatch.setattr(sys, "argv", ["sandbox", "status"])
    monkeypatch.setattr(environment, "isolate", lambda: None)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1


def test_a_full_disk_is_not_reported_as_a_defect(monkeypatch, capsys) -> None:
    """reliability case R11."""
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/x/y"))
    message = capsys.readouterr().err
    assert "/x/y cannot be written: No space left on device" in message and "defect" not in message


def test_an_error_of_the_tools_is_reported_as_one_of_the_sandbox(monkeypatch, capsys) -> None:
    failing(monkeypatch, ToolError("Building etcd failed.", "run it again", "the end of the log"))
    message = capsys.readouterr().err
    assert [line for line in message.splitlines() if line] == [
        "Error: Building etcd failed.",
        "  the end of the log",
        "Fix: run it again",
    ]


def test_a_broken_state_is_not_reported_as_a_defect(sandbox: Path) -> None:
    """reliability case R11."""
    state = paths.folder("state") / ".pulumi" / "stacks" / "gpuyard" / "dev.json"
    state.parent.mkdir(parents=True)
    state.write_text('{"checkpoint": []}')
    done = run("env")
    assert done.returncode == 1
    assert "state of the stack cannot be read" in done.stderr.replace("\n", " ") and "defect" not in done.stderr


def test_a_defect_is_reported_even_if_its_log_cannot_be_written(monkeypatch, capsys, sandbox: Path) -> None:
    """reliability case R11."""
    (paths.folder() / "run").touch()
    failing(monkeypatch, KeyError("x"))
    message = capsys.readouterr().err
    assert "A bug in the sandbox: KeyError" in message and "in fail" in message


def test_down_by_force_stops_and_removes_everything_but_the_attic(sandbox: Path) -> None:
    process.start("left", [sys.executable, "-c", "import time; time.sleep(60)"], ready=lambda: True)
    (paths.folder("attic") / "old").touch()
    (paths.folder("aws") / "snapshot.pickle").touch()
    down.run([], everything=True, force=True)
    assert process.strays() == []
    assert sorted(entry.name for entry in sandbox.iterdir()) == [paths.MARK, "attic"]


def test_down_by_force_leaves_no_folder_when_the_attic_is_empty(sandbox: Path) -> None:
    paths.folder("attic")
    (sandbox / "schema-aws.json").write_text("{}")  # by the engine
    down.run([], everything=True, force=True)
    assert not sandbox.exists()


def test_export_lines_are_valid_shell_and_hide_real_accounts() -> None:
    message = environment.lines({"PATH": "/a b:/c", "X": "it's"})
    shell = ["sh", "-c", f'AWS_PROFILE=company\n{message}\necho "$PATH|$X|$AWS_PROFILE"']
    done = subprocess.run(shell, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert done.stdout == "/a b:/c|it's|\n"


def test_the_sandboxs_links_are_not_used_as_the_machines_tools(monkeypatch, sandbox: Path) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    before = os.environ["PATH"]
    os.environ["PATH"] = environment.path()
    assert str(sandbox / "bin") in os.environ["PATH"]
    environment.isolate()
    assert str(sandbox / "bin") not in os.environ["PATH"]
    assert set(before.split(os.pathsep)) <= set(os.environ["PATH"].split(os.pathsep))


def test_plain_pulumi_keeps_the_tracked_stack_files_unchanged(tmp_path, monkeypatch, sandbox) -> None:
    """The wrapper in bin/ removes the salt again, unless the file had one or contains a secret."""
    clone = tmp_path / "a clone"
    clone.mkdir()
    real = tmp_path / "pulumi"
    real.write_text(
        "#!/bin/sh\nsed -i 's/false #/\"false\" #/; /^$/d' Pulumi.plain.yaml\n"
        "sed -i 's/old/new/' Pulumi.changed.yaml\n"
        'for f in Pulumi.*.yaml; do printf "encryptionsalt: v1:x\\n" >> "$f"; done\nexit 3\n'
    )
    real.chmod(0o755)
    texts = {
        "plain": "config:\n\n  a: false # c\n",
        "changed": "config:\n  a: old\n",
        "salted": "encryptionsalt: own\nconfig: {}\n",
        "secret": "config:\n  a:\n    secure: v1:y\n",
    }
    for name, text in texts.items():
        (clone / f"Pulumi.{name}.yaml").write_text(text)
    environment.link({"pulumi": real, "pulumi-language-python": tmp_path / "host"})
    monkeypatch.setattr(paths, "ROOT", clone)
    monkeypatch.chdir(clone)
    assert plain.main(["up"]) == 3
    found = {name: (clone / f"Pulumi.{name}.yaml").read_text() for name in texts}
    assert found["plain"] == texts["plain"]
    assert found["changed"] == "config:\n  a: new\n"
    assert found["salted"].startswith("encryptionsalt: own\n")
    assert found["secret"].endswith("encryptionsalt: v1:x\n")


def test_the_wrapper_runs_the_linked_pulumi(tmp_path: Path, sandbox: Path) -> None:
    real = tmp_path / "pulumi"
    real.write_text('#!/bin/sh\necho "ran $1 with PYTHONPATH=$PYTHONPATH"\nexit 7\n')
    real.chmod(0o755)
    environment.link({"pulumi": real, "pulumi-language-python": tmp_path / "host"})
    done = subprocess.run([sandbox / "bin" / "pulumi", "stack"], capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stdout) == (7, "ran stack with PYTHONPATH=\n")


@pytest.mark.parametrize("stack", ["dev", "new"])
def test_a_secret_under_the_public_passphrase_does_not_stay_in_a_stack_file(
    tmp_path, monkeypatch, capfd, stack
) -> None:
    """Security case M4: `pulumi config set --secret` in `make shell` wrote it into the tracked file."""
    clone = tmp_path / "clone"
    clone.mkdir()
    text = "config:\n  gpuyard:cloud: aws # here\n  a:b:\n    secure: v1:of-the-person\n"
    (clone / "Pulumi.dev.yaml").write_text(text)
    real = tmp_path / "pulumi"
    real.write_text(
        "#!/bin/sh\numask > umask\n"
        f'printf "encryptionsalt: v1:x\\nconfig:\\n  x:y:\\n    secure: v1:secret\\n" >> Pulumi.{stack}.yaml\n'
    )
    real.chmod(0o755)
    environment.link({"pulumi": real, "pulumi-language-python": tmp_path / "host"})
    monkeypatch.setattr(paths, "ROOT", clone)
    monkeypatch.chdir(clone)
    assert plain.main(["config", "set", "--secret", "x:y", "hunter2"]) == 1
    assert {path.name: path.read_text() for path in clone.glob("Pulumi.*")} == {"Pulumi.dev.yaml": text}
    message = capfd.readouterr().err
    assert f"Pulumi.{stack}.yaml" in message and "PULUMI_CONFIG_PASSPHRASE" in message
    assert (clone / "umask").read_text().strip() == "0077"
