"""The sandbox's `aws`: it logs in to the sandbox's clusters and runs the machine's own for all other commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import login, paths

LOGIN = ["--region", "us-east-1", "eks", "get-token", "--cluster-name", "none-such", "--output", "json"]


def run(*arguments: str, path: str, home: Path) -> subprocess.CompletedProcess[str]:
    """As the wrapper in `bin/` runs it."""
    variables = {"PATH": path, "GPUYARD_SANDBOX": str(home), "PYTHONPATH": str(paths.ROOT)}
    argv = [sys.executable, "-m", "sandbox.login", *arguments]
    return subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)


def test_a_missing_cluster_gives_a_token_as_in_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server decides whether the cluster exists."""
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_EXEC_INFO", json.dumps({"apiVersion": "client.authentication.k8s.io/v1"}))
    found = login.credential(LOGIN)
    assert found["status"] == {"token": "k8s-aws-v1.sandbox"}
    assert found["apiVersion"] == "client.authentication.k8s.io/v1", "clients refuse another one than they asked for"


def test_other_commands_run_the_machines_aws(tmp_path: Path) -> None:
    for folder in ("bin", "own"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "aws").write_text(f'#!/bin/sh\necho {folder} "$@" "$PYTHONPATH"\n')
        (tmp_path / folder / "aws").chmod(0o755)
    both = f"{tmp_path}/bin:{tmp_path}/own:/usr/bin:/bin"
    assert run("s3", "ls", path=both, home=tmp_path).stdout.split() == ["own", "s3", "ls"]


def test_without_the_aws_cli_the_error_names_the_supported_command(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = run("s3", "ls", path=f"{tmp_path}/bin", home=tmp_path)
    assert done.returncode == 127 and "aws eks get-token" in done.stderr
