"""A stack on one cloud never loads the SDK of the other, not even to parse its config."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sandbox.paths import ROOT

PROGRAM = """
import sys
from recording.stacks import settings
from stack import environment
from stack.cloud_keys import CloudKeys

found = settings("{stack}")
raw = {{key[8:]: value for key, value in found.items() if key.startswith("gpuyard:")}}
keys = CloudKeys({{key: value for key, value in found.items() if not key.startswith("gpuyard:")}})
before = set(sys.modules)
environment.parse(raw, present=set(raw), stack="{stack}", keys=keys)
print(sorted({{name.split(".")[0] for name in set(sys.modules) - before if name.startswith("pulumi_")}}))
print([name for name in sys.modules if name.startswith(("stack.{other}", "components.{other}."))])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("stack", "other", "sdk"), [("dev", "gcp", "pulumi_gcp"), ("dev-gke", "aws", "pulumi_aws")])
def test_the_config_of_one_cloud_loads_nothing_of_the_other(stack: str, other: str, sdk: str) -> None:
    program = PROGRAM.format(stack=stack, other=other)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, modules = done.stdout.splitlines()
    assert sdk not in loaded
    assert [name for name in eval(modules) if not name.endswith((".regions", ".places", ".aws", ".gcp"))] == []
