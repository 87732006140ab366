"""Shared by the library's tests and the sandbox's: golden files, markers, and a clean environment.

Tests see neither a real cloud nor the user's own settings.
"""

from __future__ import annotations

import asyncio
import difflib
import gc
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Property tests use new random examples in each run on a developer's machine, and always the same ones in CI.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

GOLDEN = Path(__file__).parent / "tests" / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/*.json from this run")


WHOLE = re.compile(
    r"""tests/(
      contract/ | graph/ | schema/ | config/test_deployed
    | component/test_(addons | alerts | cleanup | cluster_autoscaler | prometheus_stack
           | gcp_(addresses | buckets | cluster | existing | filestore | network | services | storage)
           | aws_(cluster | groups | lustre | network | offerings | roles | storage))
    | unit/(tools/ | aws/test_(conflicts | expected | lost | provider | stack)
           | gcp/test_(conflicts | expected | orphans | provider | stack)
           | plugins/test_(chart | pulumi_eks | values) | test_(cli | paths | shell | stack_file)))
    | \[(guide|prod)\b | component/.*(_stack_ | ::TestStack::)""",
    re.VERBOSE,
)
"""What `make check` leaves to `make test`: whole environments through the recorder (half a second each), programs, and
other environments than dev and dev-gke through the same test. `tests/` matches `sandbox/tests/` as well."""

CLUSTER = re.compile(r"^(sandbox/)?tests/cluster/")
"""Tests that need a real Kubernetes control plane: the library's, and the sandbox's own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if WHOLE.search(item.nodeid):
            item.add_marker(pytest.mark.slow)
        if CLUSTER.search(item.nodeid):
            item.add_marker(pytest.mark.cluster)
    # In parallel, the longest tests start first, so that the run ends sooner. The cluster tests are one group (see
    # Rooms), and it is the longest.
    if os.environ.get("PYTEST_XDIST_WORKER"):
        longest = ("tests/cluster/", "tests/engine/")
        items.sort(key=lambda item: next((n for n, part in enumerate(longest) if part in item.path.as_posix()), 9))


class Rooms(LoadScopeScheduling):
    """In parallel, but a file's tests on one worker, in order (an engine module is one story), and all cluster tests
    on one worker as well: they share a control plane. (xdist's own groups have no effect with this pytest.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return "tests/cluster" if CLUSTER.search(file) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Rooms | None:
    return Rooms(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_finish() -> None:
    """Collects garbage less often: with the SDKs' many objects, the default costs about a tenth of the tests' time."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One worker more than cores for `make test`: environments spend much of their time waiting."""
    if config.getvalue("dist") != "loadgroup" or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None  # xdist's own number
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + 1


def pytest_configure() -> None:
    """Tests must not use a sandbox that the user's environment names."""
    for name in ("GPUYARD_SANDBOX", "GPUYARD_SANDBOX_AWS_ENDPOINT"):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def unused_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unused") / "sandbox"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, unused_sandbox: Path) -> None:
    """Tests see neither the user's cloud accounts nor their kubeconfig nor their running sandbox."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "CLOUDSDK_", "KUBECONFIG")):
            monkeypatch.delenv(name)
    if "GPUYARD_SANDBOX" not in os.environ:  # a module may have chosen one
        monkeypatch.setenv("GPUYARD_SANDBOX", str(unused_sandbox))


@pytest.fixture(autouse=True)
def settings_of_the_process() -> Iterator[None]:
    """A test gets Python's spelling of names in errors, and whole tracebacks: a stack's config, the plugin and the
    classes that run in the engine's processes set others for a whole process."""
    yield
    sys.__dict__.pop("tracebacklimit", None)
    if checks := sys.modules.get("components.checks"):
        checks.spell({}, str)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, Any], None]:
    """`golden(name, value)` fails if `value` differs from tests/golden/NAME.json, and shows the difference."""

    def compare(name: str, value: Any) -> None:
        path = GOLDEN / f"{name}.json"
        actual = json.dumps(value, indent=1, sort_keys=True) + "\n"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(actual)
            return
        expected = path.read_text() if path.exists() else ""
        if actual != expected:
            difference = "".join(
                difflib.unified_diff(expected.splitlines(True), actual.splitlines(True), "golden", "now", n=1)
            )
            pytest.fail(
                f"{path.name} differs; if that is intended: pytest --update-golden {request.node.nodeid}\n{difference}",
                pytrace=False,
            )

    return compare


@pytest.fixture
def event_loop() -> Iterator[None]:
    """An event loop, which Outputs need; an earlier recording may have closed its own."""
    mine = asyncio.new_event_loop()
    asyncio.set_event_loop(mine)
    yield
    mine.close()
