"""`make shell` and `make env`: with any settings of the user, they reach no real account and no real cluster (security
case H1, field case C3)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sandbox import environment, interactive, kubeconfig, paths
from sandbox.cluster.control_plane import get
from sandbox.stacks import Checkpoint, Stack
from sandbox.status import plane_of

ROOT = Path(__file__).parents[3]
KEY = "eks-us-east-1-gpuyard-dev"
ENDPOINT = "https://127.0.0.1:6443"
REAL_ACCOUNT = {
    "KUBECONFIG": "/home/me/.kube/config",
    "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    "HELM_KUBECONTEXT": "prod",
    "HELM_KUBEAPISERVER": "https://prod",
    "AWS_PROFILE": "company",
    "AWS_CONFIG_FILE": "/home/me/aws",
    "AWS_ROLE_ARN": "arn:aws:iam::1:role/x",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/x",
    "AWS_ENDPOINT_URL_EC2": "https://ec2.us-east-1.amazonaws.com",
    "AWS_SESSION_TOKEN": "x",
    "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json",
    "GOOGLE_OAUTH_ACCESS_TOKEN": "x",
    "CLOUDSDK_CONFIG": "/home/me/.config/gcloud",
    "CLOUDSDK_CORE_PROJECT": "prod",
    "PULUMI_ACCESS_TOKEN": "pul-x",
    "PULUMI_BACKEND_URL": "https://api.pulumi.com",
    "PULUMI_STACK": "prod",
    "PULUMI_CONFIG_PASSPHRASE_FILE": "/home/me/passphrase",
}
SET = {"KUBECONFIG", "AWS_CONFIG_FILE", "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "PULUMI_BACKEND_URL"}
"""Those of REAL_ACCOUNT that the sandbox sets itself."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    monkeypatch.delenv("STACK", raising=False)
    paths.folder("run")
    state = Stack("dev").state
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {}}}))
    return tmp_path / "sandbox"


def plane() -> Path:
    """A control plane's folder, as a running one has it."""
    folder = paths.folder("clusters", KEY)
    (folder / "pki").mkdir()
    (folder / "pki" / "ca.crt").write_text("authority")
    facts = {"key": KEY, "endpoint": ENDPOINT, "issuer": "https://issuer", "version": "1.35"}
    (folder / "cluster.json").write_text(json.dumps(facts))
    found = get(KEY)
    assert found
    cluster = {"server": ENDPOINT, "certificate-authority-data": found.ca_data}
    config = {"clusters": [{"name": KEY, "cluster": cluster}], "current-context": KEY}
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    return folder / "kubeconfig"


def sandbox(*arguments: str, **more: str) -> str:
    env = {**os.environ, **REAL_ACCOUNT, "GPUYARD_VENV": sys.prefix, **more}
    argv = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def variables(output: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def assert_safe(found: dict[str, str], home: Path) -> None:
    assert {name for name in REAL_ACCOUNT if name in found} == SET
    for name in SET:
        assert found[name] != REAL_ACCOUNT[name]
    assert found["KUBECONFIG"] == str(home / "kube" / "dev.yaml")
    assert found["CLOUDSDK_CONFIG"].startswith(str(home))
    assert not Path(found["GOOGLE_APPLICATION_CREDENTIALS"]).exists()
    assert found["AWS_SHARED_CREDENTIALS_FILE"] == found["AWS_CONFIG_FILE"] == os.devnull
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"  # the simulated AWS does not run
    assert found["PULUMI_BACKEND_URL"].startswith("file://")


def test_a_shell_without_a_cluster_reaches_no_cluster(home: Path) -> None:
    """Security case H1: after `make preview`, kubectl used ~/.kube/config although the banner named the sandbox."""
    assert_safe(variables(sandbox("shell", "--", "env")), home)
    config = yaml.safe_load((home / "kube" / "dev.yaml").read_text())
    assert [each["cluster"]["server"] for each in config["clusters"]] == ["https://127.0.0.1:1"]
    assert config["users"] == []
    assert (home / "kube" / "dev.yaml").stat().st_mode & 0o077 == 0


def test_the_export_lines_hide_the_users_own_settings(home: Path) -> None:
    lines = sandbox("env")
    done = subprocess.run(
        ["sh", "-c", 'eval "$LINES_"\nenv'], env={"PATH": os.environ["PATH"], "LINES_": lines, **REAL_ACCOUNT},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert_safe(variables(done.stdout.replace(lines, "")), home)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_start_files_do_not_override_the_sandbox(tmp_path: Path, home: Path, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    person = tmp_path / "person"
    person.mkdir()
    rc = {"bash": ".bashrc", "zsh": ".zshrc", "fish": ".config/fish/config.fish"}[shell]
    (person / rc).parent.mkdir(parents=True, exist_ok=True)
    (person / rc).write_text("export KUBECONFIG=/mine AWS_PROFILE=company SEEN=yes PATH=/their/own:$PATH\n")
    program, more = interactive.start(
        str(shutil.which(shell)), environment.exports("", kubeconfig.write(Stack("dev"), None))
    )
    env = {**os.environ, **environment.exports("", home / "kube" / "dev.yaml"), "HOME": str(person), **more}
    output = subprocess.run(
        [*program, "-i"], input="env\nexit\n", env=env, capture_output=True, text=True, check=False, timeout=30
    ).stdout
    found = variables(output)
    assert found["SEEN"] == "yes"
    assert found["KUBECONFIG"] == str(home / "kube" / "dev.yaml")
    assert "AWS_PROFILE" not in found
    assert found["PATH"].split(":")[:2] == [str(home / "plugins"), str(home / "bin")]


def test_zsh_start_files_in_zdotdir_are_read(tmp_path: Path, home: Path) -> None:
    if not shutil.which("zsh"):
        pytest.skip("no zsh here")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".zshenv").write_text("export ZDOTDIR=$HOME/elsewhere\n")
    (tmp_path / "elsewhere" / ".zshrc").write_text("export AWS_PROFILE=company SEEN=yes\n")
    exports = environment.exports("", kubeconfig.write(Stack("dev"), None))
    program, more = interactive.start(str(shutil.which("zsh")), exports)
    env = {**os.environ, "HOME": str(tmp_path), **more}
    output = subprocess.run(
        [*program, "-i"], input="env\nexit\n", env=env, capture_output=True, text=True, timeout=30
    ).stdout
    found = variables(output)
    assert found["SEEN"] == "yes" and "AWS_PROFILE" not in found


def test_after_a_failed_up_the_kubeconfig_reaches_the_running_cluster(home: Path) -> None:
    """Field case C3, reliability case R9: only a successful `up` writes outputs."""
    made = plane()
    cluster = {"urn": "u", "type": "aws:eks/cluster:Cluster", "outputs": {"endpoint": ENDPOINT}, "inputs": {}}
    state = {"version": 3, "checkpoint": {"latest": {"resources": [cluster]}}}
    Stack("dev").state.write_text(json.dumps(state))
    found = variables(sandbox("shell", "--", "env"))
    assert Path(found["KUBECONFIG"]).read_text() == made.read_text()
    assert found["AWS_REGION"] == "us-east-1"


def test_the_cluster_of_a_killed_up_is_found_by_its_name() -> None:
    plane()
    resource = {"urn": "u", "type": "aws:eks/cluster:Cluster", "inputs": {"name": "gpuyard-dev"}}
    found = plane_of(Checkpoint({"pending_operations": [{"type": "creating", "resource": resource}]}))
    assert found and found.key == KEY
    resource["inputs"] = {"name": "gpuyard-prod"}
    assert plane_of(Checkpoint({"pending_operations": [{"type": "creating", "resource": resource}]})) is None


def test_an_open_shell_finds_a_new_cluster_and_keeps_the_users_edits(home: Path) -> None:
    """KUBECONFIG is the same path before and after; a namespace that was set stays."""
    before = kubeconfig.write(Stack("dev"), None)
    made = plane()
    assert kubeconfig.write(Stack("dev"), get(KEY)) == before
    assert before.read_text() == made.read_text()
    before.write_text(before.read_text() + "extensions: []\n")
    kubeconfig.write(Stack("dev"), get(KEY))
    assert before.read_text().endswith("extensions: []\n")
    kubeconfig.write(Stack("dev"), None)
    assert ENDPOINT not in before.read_text()


def test_kubectl_without_a_cluster_has_a_clear_error() -> None:
    argv = [sys.executable, "-m", "sandbox", "kubectl", "get", "nodes"]
    done = subprocess.run(
        argv, env={**os.environ, "GPUYARD_VENV": sys.prefix}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1 and "has no cluster yet" in done.stderr
