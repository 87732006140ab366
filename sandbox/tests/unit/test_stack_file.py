"""Stack files as users and editors write them: an error that would stop the engine is one message before anything
starts (reliability case R11)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox import paths, stacks
from sandbox.errors import SandboxError
from sandbox.stacks import Stack

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    monkeypatch.setenv("GPUYARD_VENV", sys.prefix)
    monkeypatch.delenv("STACK", raising=False)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: gpuyard\nruntime: python\n")
    return tmp_path


GOOD = "config:\n  gpuyard:cloud: aws # größe\n"


@pytest.mark.parametrize(
    ("content", "output"),
    [
        (GOOD.encode("utf-16"), "byte 1 is not UTF-8"),
        (GOOD.encode("utf-16-le"), "is not UTF-8"),
        (GOOD.encode("latin-1"), "byte 34 is not UTF-8"),
        (b"config:\n  gpuyard:cloud: a\0ws\n", "is not allowed in it"),
        (b"config:\n  gpuyard:cloud: aws\n  gpuyard:cloud: gcp\n", "line 3 .*'gpuyard:cloud' is in one map twice"),
        (b"config:\n  gpuyard:tags:\n    a: 1\n    a: 2\n", "line 4 .*'a' is in one map twice"),
        (b"config: {}\nconfig: {}\n", "line 2 .*'config' is in one map twice"),
        (b"config:\n  gpuyard:nodePools: {gpu: {max: .nan}}\n", r"config.gpuyard:nodePools.gpu.max is nan"),
        (b"config:\n  gpuyard:x: [1, -.inf]\n", r"config.gpuyard:x\[1\] is -inf"),
        (b"config:\n  gpuyard:x: {1: a}\n", "has the key 1, which is not text"),
        (b"config:\n  gpuyard:x: &a [*a]\n", "refers to itself"),
        (b"config:\n  gpuyard:x: !!binary aGk=\n", "bytes"),
        (b"config:\n  gpuyard:x: " + b"[" * 500 + b"]" * 500, "too deep"),
        (b"config:\n  gpuyard:x: 2026-13-45\n", "month must be"),
        (b"config:\n\tgpuyard:x: 1\n", "line 2"),
        (b"config: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        (b"a\n", "must be a map"),
    ],
)
def test_a_broken_file_is_one_message_with_the_reason(clone: Path, content: bytes, output: str) -> None:
    (clone / "Pulumi.dev.yaml").write_bytes(content)
    with pytest.raises(SandboxError, match=output) as caught:
        _ = Stack("dev").config
    assert "Pulumi.dev.yaml" in str(caught.value) and caught.value.fix


def test_a_folder_or_a_link_loop_instead_of_the_file(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").mkdir()
    (clone / "Pulumi.loop.yaml").symlink_to("Pulumi.loop.yaml")
    for name in ("dev", "loop"):
        with pytest.raises(SandboxError, match=rf"Pulumi\.{name}\.yaml cannot be read"):
            _ = Stack(name).config
        assert Stack(name).encrypted is False
        Stack(name).prepare()  # `down` continues with a broken file


def test_a_byte_order_mark_is_accepted(clone: Path) -> None:
    (clone / "Pulumi.dev.yaml").write_bytes(b"\xef\xbb\xbfconfig:\n  gpuyard:cloud: gcp\n")
    assert Stack("dev").cloud == "gcp"


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.binary()
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9) | st.integers(), inner, max_size=4),
    max_leaves=20,
)
_ODD = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    _VALUES.map(lambda value: yaml.safe_dump({"config": {"gpuyard:cloud": value, "gpuyard:x": value}}).encode()),
    st.text("&*a[]{}:,-!|>?#%@`'\" \n<", max_size=60).map(lambda text: b"config: " + text.encode()),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_ODD)
def test_any_file_content_is_a_map_or_one_message(clone: Path, content: bytes) -> None:
    (clone / "Pulumi.dev.yaml").write_bytes(content)
    try:
        assert isinstance(Stack("dev").config, dict)
        assert isinstance(Stack("dev").cloud, str)
        assert isinstance(Stack("dev").region, str)
    except SandboxError as error:
        assert "Pulumi.dev.yaml" in error.problem and error.fix
    assert isinstance(Stack("dev").encrypted, bool)


def test_an_invalid_remembered_stack_name_is_ignored() -> None:
    (paths.folder() / "last-stack").write_bytes(b"\xff\xfe../x")
    assert stacks.chosen(None).name == "dev"


@pytest.mark.parametrize("command", [["status"], ["down"], ["env"], ["shell", "--", "true"], ["demo"]])
def test_a_stack_that_does_not_exist_is_an_error(command: list[str]) -> None:
    """Regression: `make down` and `make status` of such a stack exited with 0."""
    argv = [sys.executable, "-m", "sandbox", command[0], "--stack", "no-such", *command[1:]]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Pulumi.no-such.yaml is missing" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "name",
    ["my stack", "a;touch X", "$(touch X)", "`touch X`", "$(shell touch X)", "it's", '"', "a\\", "-x", "${HOME}"],
)
def test_a_stack_name_cannot_inject_into_a_shell_or_make(tmp_path: Path, name: str) -> None:
    """Security, low: `--stack $(STACK)` was not quoted in the Makefile."""
    typed = name.replace("X", str(tmp_path / "touched"))
    makes = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "GPUYARD_SANDBOX": str(tmp_path / "sandbox")}
    argv = ["make", "-s", "status", f"STACK={typed}", f"PYTHON={sys.executable}"]
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, check=False, env={**makes, "GPUYARD_VENV": sys.prefix}
    )
    assert f"{typed!r} is not a valid stack name" in done.stderr
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "device"])
def test_pipes_and_devices_are_not_read(clone: Path, make: Callable[[Path], None]) -> None:
    """Reading a pipe would block, and a device would fill the memory."""
    make(clone / "Pulumi.dev.yaml")
    with pytest.raises(SandboxError, match=r"Pulumi\.dev\.yaml cannot be read: It is not a regular file"):
        _ = Stack("dev").config
