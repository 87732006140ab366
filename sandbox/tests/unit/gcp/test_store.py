"""The store: Google's rules between objects, several processes at once, and a damaged file."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading

import pytest

from sandbox.errors import SandboxError
from sandbox.gcp.store import ApiError, Store, inventory, leftovers, unprotect

NET = ("compute.networks", "projects/p/global/networks/n")
SUB = ("compute.subnetworks", "projects/p/regions/r/subnetworks/s")


def test_a_name_is_unique(store):
    store.insert(*NET, {"a": 1})
    with pytest.raises(
        ApiError, match="Error 409: The resource 'projects/p/global/networks/n' already exists, already"
    ):
        store.insert(*NET, {})
    assert store.get(*NET) == {"a": 1}


def test_a_missing_object_is_404(store):
    assert store.find(*NET) is None
    for act in (store.get, store.delete, lambda *name: store.update(*name, lambda body: body)):
        with pytest.raises(ApiError, match=r"Error 404: .*was not found, notFound"):
            act(*NET)


def test_a_reference_needs_its_target_and_protects_it(store):
    with pytest.raises(ApiError, match=r"Error 404.*networks/n"):
        store.insert(*SUB, {}, references=[NET])
    assert store.find(*SUB) is None, "a refused insert must leave nothing"
    store.insert(*NET, {})
    store.insert(*SUB, {}, references=[NET])
    with pytest.raises(ApiError) as caught:
        store.delete(*NET)
    assert caught.value.reason == "resourceInUseByAnotherResource"
    assert "The network resource 'projects/p/global/networks/n' is already being used by" in str(caught.value)
    store.delete(*SUB)
    store.delete(*NET)
    assert store.select() == []


def test_new_references_replace_the_old_ones(store):
    other = ("compute.networks", "projects/p/global/networks/other")
    store.insert(*NET, {})
    store.insert(*other, {})
    store.insert(*SUB, {}, references=[NET])
    store.update(*SUB, lambda body: body, references=[other])
    store.delete(*NET)
    with pytest.raises(ApiError, match="already being used"):
        store.delete(*other)


def test_owned_objects_are_deleted_at_any_depth(store):
    store.insert("c", "projects/p/c", {})
    store.insert("pool", "projects/p/c/pool", {}, owner=("c", "projects/p/c"))
    store.insert("vm", "projects/p/vm", {}, owner=("pool", "projects/p/c/pool"), references=[("c", "projects/p/c")])
    store.insert("other", "projects/p/other", {}, references=[("vm", "projects/p/vm")])
    with pytest.raises(ApiError, match="'projects/p/vm' is already being used by 'projects/p/other'"):
        store.delete("c", "projects/p/c")
    store.delete("other", "projects/p/other")
    store.delete("c", "projects/p/c")
    assert store.select() == []


def test_select_matches_whole_path_segments(store):
    store.insert("c", "projects/p/a/x", {})
    store.insert("c", "projects/p/ab/x", {})
    assert [name for _, name, _ in store.select("c", under="projects/p/a")] == ["projects/p/a/x"]


def test_a_transaction_that_fails_leaves_nothing(store):
    with pytest.raises(RuntimeError), store.transaction():
        store.insert(*NET, {})
        raise RuntimeError
    assert store.find(*NET) is None


def _count(path, times):
    store = Store(path)
    for _ in range(times):
        store.update("c", "n", lambda body: {"count": body["count"] + 1})


def test_two_processes_lose_no_update(store):
    store.insert("c", "n", {"count": 0})
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_count, args=(store.path, 60)) for _ in range(2)]
    for worker in workers:
        worker.start()
    _count(store.path, 60)
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert store.get("c", "n") == {"count": 180}


def test_the_first_use_waits_for_others_that_open_the_new_file(tmp_path):
    """Enabling a write-ahead log does not wait for other processes: "database is locked", observed in an `up` on a busy
    machine."""
    store = Store(tmp_path / "objects.sqlite")
    other = sqlite3.connect(store.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    leave = threading.Timer(0.3, other.execute, ["COMMIT"])
    leave.start()
    store.insert(*NET, {})
    leave.join()
    assert store.find(*NET) == {}


def test_a_damaged_file_is_set_aside_once(store, tmp_path):
    store.insert(*NET, {})
    store.path.write_bytes(b"this is no database " * 400)
    with pytest.raises(SandboxError) as caught:
        store.find(*NET)
    assert "attic" in str(caught.value) and "make up" in caught.value.fix
    kept = list((tmp_path / "attic").iterdir())
    assert any(path.read_bytes().startswith(b"this is no database") for path in kept)
    assert store.select() == []
    store.insert(*NET, {})


def test_inventory_and_leftovers(store, tmp_path, monkeypatch):
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "elsewhere"))
    assert inventory() == {} and leftovers() == []
    assert not (tmp_path / "elsewhere").exists(), "asking must not make a store"
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path))
    store.insert(*NET, {})
    store.insert("serviceusage.services", "projects/p/services/x", {})
    assert inventory() == {"compute.networks": 1, "serviceusage.services": 1}
    assert leftovers() == ["compute.networks projects/p/global/networks/n"]


def test_down_lifts_the_protection_of_file_systems(store):
    name = "projects/p/locations/us-central1-a/instances/files"
    store.insert("file.instances", name, {"deletionProtectionEnabled": True, "tier": "ZONAL"})
    unprotect([name])
    assert store.get("file.instances", name) == {"deletionProtectionEnabled": False, "tier": "ZONAL"}
