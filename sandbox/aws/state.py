"""The state of the simulated AWS: the lock that protects it, its snapshot on disk, and its restoration after a restart.

moto keeps everything in memory, in one backend object per service, account and region. A snapshot is a pickle of the
attributes of every backend in use, with the backends themselves as persistent ids, so that the references from one
service to another (an Auto Scaling group to its instances in EC2) are the same objects again after a restore. AWS's own
policies and machine images are omitted: every new backend has them, only AWS can change them, and they are nine tenths
of the data.

The file is written completely and renamed over the old one. The write begins `DEBOUNCE` to `LONGEST` seconds after a
change, or after the write that runs then; a server that is killed before that forgets the change. A snapshot that
cannot be read is moved to `.sandbox/attic/`, and the account starts empty with a new generation; `Account.note` reports
it.
"""

from __future__ import annotations

import importlib
import io
import marshal
import os
import pickle
import sys
import threading
import time
import types
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import moto
import moto.backends
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto.core.base_backend import BackendDict, BaseBackend
from moto.ec2.models.amis import Ami
from moto.iam.models import AWSManagedPolicy

from sandbox import paths

DEBOUNCE, LONGEST = 0.3, 1.0
"""Seconds."""
LOCK = threading.RLock()
"""Held by every request and every background step that uses a backend: moto itself is not thread-safe."""

_MADE_BY = f"moto {moto.__version__}, Python {sys.version_info.major}.{sys.version_info.minor}"
_changed = threading.Event()
_LOCK_TYPES = (type(threading.Lock()), type(threading.RLock()))


def touch() -> None:
    """Requests a snapshot soon after a change outside a request (a cluster became active)."""
    _changed.set()


class Account:
    """The state on disk and its origin. `generation` changes exactly when the state is lost."""

    def __init__(self) -> None:
        self.generation = uuid.uuid4().hex
        self.restored = False
        self.note = ""
        self.unsaved = ""

    @property
    def file(self) -> Path:
        return paths.folder("aws") / "snapshot.pickle"

    def restore(self) -> None:
        """Restores the snapshot, if there is one; moves one that cannot be read to the attic."""
        if not self.file.exists():
            return
        try:
            with LOCK:
                found = _Unpickler(io.BytesIO(self.file.read_bytes())).load()
                if found["made_by"] != _MADE_BY:
                    raise ValueError(f"it was made by {found['made_by']}, this is {_MADE_BY}")
                for key, attributes in found["backends"].items():
                    _put_back(_backend(*key), attributes, found.get("images", {}).get(key, {}))
            self.generation, self.restored = found["generation"], True
        except Exception as error:  # a broken pickle can raise any exception
            BackendDict.reset()
            aside = paths.folder("attic") / f"aws-snapshot-{time.strftime('%Y%m%d-%H%M%S')}.pickle"
            self.file.replace(aside)
            self.note = (
                f"the snapshot of the simulated AWS account could not be read ({type(error).__name__}: {error}); "
                f"it is set aside as {aside} and the account starts empty"
            )

    def save(self) -> None:
        """Writes the snapshot now."""
        with LOCK:
            _changed.clear()
            data = _dump(self.generation)
        new = self.file.with_suffix(".new")
        with new.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        new.replace(self.file)

    def keep_saving(self) -> None:
        """A daemon's loop: saves shortly after each change, until the process ends."""
        took = 0.0
        while True:
            _changed.wait()
            # A snapshot holds the lock, so the pause is nine times as long as the last one took, but at most LONGEST.
            time.sleep(min(max(DEBOUNCE, 9 * took), LONGEST))
            began = time.monotonic()
            try:
                self.save()
                self.unsaved = ""
            except Exception as error:
                self.unsaved = f"the simulated AWS account cannot be saved: {type(error).__name__}: {error}"
                print(self.unsaved, flush=True)
            took = time.monotonic() - began


def backends() -> dict[tuple[str, str, str], BaseBackend]:
    """Every backend in use by (service, account, region)."""
    return {
        (each.service_name, account, region): backend
        for each in BackendDict._instances  # type: ignore[misc]
        for account, regions in list(each.items())
        for region, backend in list(regions.items())
    }


def _dump(generation: str) -> bytes:
    # IAM creates a backend per partition; only one is simulated.
    live = {key: backend for key, backend in backends().items() if not key[2].startswith("aws-")}
    buffer = io.BytesIO()
    pickler = _Pickler(buffer, {id(backend): key for key, backend in live.items()})
    pickler.dump(
        {
            "made_by": _MADE_BY,
            "generation": generation,
            "backends": {key: _own(backend.__dict__) for key, backend in live.items()},
            "images": {key: _snapshots(backend.__dict__) for key, backend in live.items()},
        }
    )
    return buffer.getvalue()


def _snapshots(attributes: dict[str, Any]) -> dict[str, str]:
    """Snapshot id → image id of AWS's images. moto gives these snapshots new random ids at each start; with this map a
    restart restores their old ids."""
    images = attributes.get("amis", {})
    held = ((id, each.from_ami) for id, each in attributes.get("snapshots", {}).items() if images)
    return {id: image for id, image in held if image in images and _given(images[image])}


def _own(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attribute without the snapshots of AWS's images."""
    given = _snapshots(attributes)
    if not given:
        return attributes
    return attributes | {"snapshots": {id: each for id, each in attributes["snapshots"].items() if id not in given}}


def _put_back(backend: BaseBackend, attributes: dict[str, Any], snapshots: dict[str, str]) -> None:
    """Restores the attributes of a new backend, and the ids of AWS's snapshots in it."""
    for id, image in snapshots.items():
        snapshot = backend.amis[image].ebs_snapshot  # type: ignore[attr-defined]
        snapshot.id = id
        attributes["snapshots"][id] = snapshot
    backend.__dict__ = attributes


def _given(obj: Any) -> bool:
    """Whether the object is AWS's own and every new backend has the same one."""
    if isinstance(obj, AWSManagedPolicy):
        return obj.attachment_count == 0
    return isinstance(obj, Ami) and obj.owner_alias == "amazon"


def _backend(service: str, account: str, region: str) -> BaseBackend:
    return moto.backends.get_backend(service)[account][region]  # type: ignore[call-overload]


def _key(der: bytes) -> Any:
    return load_der_private_key(der, None)


def _function(module: str, code: bytes, defaults: tuple[Any, ...] | None) -> Any:
    return types.FunctionType(marshal.loads(code), importlib.import_module(module).__dict__, "factory", defaults)


def _defaultdict(kind: type[defaultdict[Any, Any]], factory: Any) -> defaultdict[Any, Any]:
    made: defaultdict[Any, Any] = defaultdict.__new__(kind)
    made.default_factory = factory
    return made


class _Pickler(pickle.Pickler):
    def __init__(self, file: Any, names: dict[int, tuple[str, str, str]]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._names = names

    def persistent_id(self, obj: Any) -> tuple[str, ...] | None:
        if isinstance(obj, BaseBackend):
            if id(obj) not in self._names:
                raise pickle.PicklingError(f"a backend that is not in use is referred to: {type(obj).__name__}")
            return self._names[id(obj)]
        if _given(obj):
            if isinstance(obj, Ami):
                return *self._names[id(obj.ec2_backend)], "amis", obj.id
            return "iam", obj.account_id, "aws", "managed_policies", obj.arn
        return None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
            return _key, (obj.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),)
        if isinstance(obj, types.FunctionType) and "<locals>" in obj.__qualname__ and obj.__closure__ is None:
            # moto has default factories that are lambdas inside a constructor.
            return _function, (obj.__module__, marshal.dumps(obj.__code__), obj.__defaults__)
        if isinstance(obj, defaultdict) and type(obj) is not defaultdict:
            # moto's own subclasses (ssm's parameters) have constructors that take something else than a factory.
            return _defaultdict, (type(obj), obj.default_factory), obj.__dict__, None, iter(obj.items())
        if isinstance(obj, _LOCK_TYPES):
            return (threading.RLock if isinstance(obj, _LOCK_TYPES[1]) else threading.Lock), ()
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        backend = _backend(*pid[:3])
        return getattr(backend, pid[3])[pid[4]] if pid[3:] else backend
