"""The example in TypeScript: its SDK is generated from the schema, it compiles with `--strict`, comes up and is
destroyed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from plugin import schema
from tests.engine.conftest import LONGEST, Project
from tests.engine.languages import Example, assert_it_is_destroyed, assert_it_is_refused, assert_it_is_up
from tools.provide import provide

OLDEST_NODE = 20


def node_is_missing() -> str:
    """The reason why TypeScript cannot run on this machine, or ""."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "Node.js and npm are not on PATH"
    output = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)", output)
    return "" if version and int(version[1]) >= OLDEST_NODE else f"Node.js {OLDEST_NODE} or newer is needed: {output}"


pytestmark = pytest.mark.skipif(bool(why := node_is_missing()), reason=why or "Node.js is installed")


def npm(example: Example, *arguments: str, code: int = 0) -> str:
    """npm with the settings of the machine: the registry is not under test."""
    done = subprocess.run(
        ["npm", *arguments],
        cwd=example.folder,
        env={**os.environ, "npm_config_update_notifier": "false"},
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def example(project: Project) -> Example:
    made = Example(project, "examples/typescript", "pulumi-language-nodejs")
    made.prepare()
    made.configure({"publicAccessCidrs": ["8.8.8.0/24"]})
    generator = provide(["nodejs-sdk"])["nodejs-sdk"]
    sdk = made.folder / "sdks" / "gpuyard"
    subprocess.run([generator, schema.FILE, sdk], check=True)
    npm(made, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    npm(made, "explore", "@pulumi/gpuyard", "--", "npm", "run", "build")
    shutil.copy(sdk / "package.json", sdk / "bin")  # the SDK reads its version from there
    return made


def test_the_example_compiles_with_strict(example: Example) -> None:
    npm(example, "run", "check")


def test_a_misspelled_key_does_not_compile(example: Example) -> None:
    program = example.folder / "index.ts"
    text = program.read_text()
    program.write_text(text.replace("capacity: [", "capacty: ["))
    assert "'capacty' does not exist in type" in npm(example, "run", "check", code=2)
    program.write_text(text)


def test_a_wrong_value_is_refused_without_a_traceback(example: Example) -> None:
    output = ("resource 'network' has a problem", "10.0.0.5/16 has host bits set", "fix: write 10.0.0.0/16")
    assert_it_is_refused(example, "index.ts", "10.0.0.0/16", "10.0.0.5/16", *output)


def test_the_example_comes_up_and_is_destroyed(example: Example) -> None:
    example.pulumi("up", "--yes", "--skip-preview")
    assert_it_is_up(example)
    assert_it_is_destroyed(example)
