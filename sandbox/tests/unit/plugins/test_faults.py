"""Injected failures and scaled durations."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.plugins import faults
from sandbox.plugins.faults import Fault, Faults, load, real_seconds
from sandbox.plugins.provider import ProviderError

URN = "urn:pulumi:dev::gpuyard::gpuyard:aws:NodePool$aws:eks/nodeGroup:NodeGroup::gpu-workers"
OTHER = "urn:pulumi:dev::gpuyard::aws:ec2/vpc:Vpc::network"


@pytest.fixture
def going() -> threading.Event:
    return threading.Event()


def test_no_file_means_no_faults(going: threading.Event) -> None:
    assert load() == []
    Faults().before("create", URN, going)
    Faults().after("create", URN, going)


@pytest.mark.parametrize("match", ["aws:eks/nodeGroup:NodeGroup::gpu-*", "*::gpu-workers", URN, "*"])
def test_a_fault_applies_to_the_resource_that_it_names(write_faults, going: threading.Event, match: str) -> None:
    injected = write_faults({"match": match, "operation": "create", "error": "InsufficientInstanceCapacity: none left"})
    with pytest.raises(ProviderError, match="InsufficientInstanceCapacity: none left") as caught:
        injected.before("create", URN, going)
    assert caught.value.partial is None
    injected.before("update", URN, going)
    injected.after("create", URN, going)
    if match != "*":
        injected.before("create", OTHER, going)


def test_a_fault_applies_times_times_and_again_when_the_file_changes(write_faults, going: threading.Event) -> None:
    fault = {"match": "*", "error": "Throttling: slow down", "times": 2}
    injected = write_faults(fault)
    for _ in range(2):
        with pytest.raises(ProviderError):
            injected.before("delete", URN, going)
    injected.before("delete", URN, going)
    write_faults(fault, {"match": "nothing"})
    with pytest.raises(ProviderError):
        injected.before("delete", URN, going)


def test_times_is_exact_with_many_threads(write_faults, going: threading.Event) -> None:
    injected, struck = write_faults({"match": "*", "error": "x", "times": 5}), []

    def act() -> None:
        try:
            injected.before("create", URN, going)
        except ProviderError:
            struck.append(1)

    threads = [threading.Thread(target=act) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(struck) == 5


def test_a_fault_after_the_operation_orphans_the_object_unless_it_is_partial(
    write_faults, going: threading.Event
) -> None:
    made = ("id-1", {"a": 1})
    injected = write_faults({"match": "*", "phase": "after", "error": "connection reset"})
    injected.before("create", URN, going)
    with pytest.raises(ProviderError) as caught:
        injected.after("create", URN, going, made)
    assert caught.value.partial is None
    injected = write_faults({"match": "*", "phase": "after", "error": "not ready", "partial": True})
    with pytest.raises(ProviderError) as caught:
        injected.after("create", URN, going, made)
    assert caught.value.partial == made


def test_a_fault_without_error_is_only_a_delay(write_faults, going: threading.Event) -> None:
    injected = write_faults({"match": "*", "seconds": 0.05})
    began = time.monotonic()
    injected.before("read", URN, going)
    assert time.monotonic() - began >= 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Invalid JSON"),
        ("{}", "valid array"),
        ('[{"operation": "create"}]', "0.match: Field required"),
        ('[{"match": "*", "operation": "make"}]', "0.operation: Input should be"),
        ('[{"match": "*", "phase": "during"}]', "0.phase"),
        ('[{"match": "*", "errors": "x"}]', "0.errors: Extra inputs"),
        ('[{"match": "*", "times": "often"}]', "0.times"),
        ('[{"match": "*", "times": -1}]', "0.times"),
        ('[{"match": "*", "seconds": -1}]', "0.seconds"),
        ('[{"match": "*", "seconds": 1e400}]', "0.seconds"),
        ('[{"match": "*", "seconds": NaN}]', "0.seconds"),
    ],
)
def test_an_invalid_file_is_one_clear_error(sandbox_home: Path, text: str, message: str) -> None:
    (sandbox_home / "faults.json").write_text(text)
    with pytest.raises(SandboxError) as caught:
        load()
    assert "faults.json" in caught.value.problem and message in caught.value.problem and "remove it" in caught.value.fix


def test_a_folder_instead_of_the_file_is_one_clear_error(sandbox_home: Path) -> None:
    """reliability case R11."""
    (sandbox_home / "faults.json").mkdir()
    with pytest.raises(SandboxError, match=r"faults\.json cannot be read"):
        load()


def test_durations_are_scaled(monkeypatch: pytest.MonkeyPatch, going: threading.Event) -> None:
    assert real_seconds("aws:eks/cluster:Cluster", "create") > 300
    assert real_seconds("aws:eks/cluster:Cluster", "read") == 0 == real_seconds("aws:new/thing:Thing", "create")
    waited: list[float] = []
    monkeypatch.setattr(faults, "wait", lambda seconds, cancelled: waited.append(seconds))
    Faults().before("create", URN, going)
    monkeypatch.setenv("GPUYARD_SANDBOX_TIME_SCALE", "0.5")
    Faults().before("create", URN, going)
    assert waited == [0, real_seconds("aws:eks/nodeGroup:NodeGroup", "create") / 2]


@pytest.mark.parametrize("scale", ["fast", "-1", "11", "nan"])
def test_an_invalid_time_scale_is_refused(monkeypatch: pytest.MonkeyPatch, scale: str) -> None:
    monkeypatch.setenv("GPUYARD_SANDBOX_TIME_SCALE", scale)
    with pytest.raises(SandboxError, match="GPUYARD_SANDBOX_TIME_SCALE"):
        faults.time_scale()


def test_cancelling_ends_a_wait(monkeypatch: pytest.MonkeyPatch, going: threading.Event) -> None:
    monkeypatch.setenv("GPUYARD_SANDBOX_TIME_SCALE", "1")
    threading.Timer(0.05, going.set).start()
    with pytest.raises(ProviderError, match="cancelled"):
        Faults().before("create", URN, going)


def test_every_type_in_the_table_exists_in_an_sdk() -> None:
    from sandbox.plugins.schema import Schema

    for token in faults.REAL_SECONDS:
        assert Schema(token.split(":")[0]).shape(token), token


def test_a_fault_is_frozen() -> None:
    with pytest.raises(ValueError):
        Fault(match="*").times = 3  # type: ignore[misc]
