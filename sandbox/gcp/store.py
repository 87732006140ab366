"""Google Cloud's objects on one machine: an sqlite file that several processes read and write at once.

An object has a collection (`compute.networks`, the name of the API collection) and a full resource name
(`projects/p/global/networks/n`); its body is the API's JSON, with the sandbox's own data under `_sandbox`.
Two relations implement the rules that Google enforces:

- a *reference* (a subnetwork names its network): the target must exist (404), and cannot be deleted while it is
  referenced (400 resourceInUseByAnotherResource);
- an *owner* (a cluster owns its node pools, a node pool its instances): its objects are deleted with it.

Does not check the content of a body (discovery.py) or implement a service's behavior (gke.py).
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox import paths
from sandbox.errors import SandboxError

Body = dict[str, Any]
Reference = tuple[str, str]
"""(collection, full resource name)"""

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS objects (
    collection TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, created REAL NOT NULL,
    owner_collection TEXT NOT NULL DEFAULT '', owner_name TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (collection, name));
CREATE INDEX IF NOT EXISTS owned ON objects (owner_collection, owner_name);
CREATE TABLE IF NOT EXISTS refs (
    collection TEXT NOT NULL, name TEXT NOT NULL, to_collection TEXT NOT NULL, to_name TEXT NOT NULL,
    PRIMARY KEY (collection, name, to_collection, to_name));
CREATE INDEX IF NOT EXISTS used ON refs (to_collection, to_name);
COMMIT;
"""

KEPT = "kept"
"""Key under `_sandbox` of an object that is declared to outlive its cluster."""

_BUSY_SECONDS = 30.0


class ApiError(Exception):
    """A refusal in the format of Google's client libraries: `googleapi: Error 404: MESSAGE, notFound`."""

    def __init__(self, code: int, message: str, reason: str) -> None:
        super().__init__(f"googleapi: Error {code}: {message}, {reason}")
        self.code = code
        self.message = message
        self.reason = reason


def not_found(name: str) -> ApiError:
    return ApiError(404, f"The resource '{name}' was not found", "notFound")


def already_exists(name: str) -> ApiError:
    return ApiError(409, f"The resource '{name}' already exists", "alreadyExists")


def in_use(collection: str, name: str, user: str) -> ApiError:
    kind = collection.rsplit(".", 1)[-1].removesuffix("s")
    return ApiError(
        400,
        f"The {kind} resource '{name}' is already being used by '{user}'",
        "resourceInUseByAnotherResource",
    )


class Store:
    """The objects of every project. Instances are cheap and have no connection; any thread may use one.

    Methods raise ApiError for requests that Google would refuse, SandboxError for a file that cannot be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or paths.folder("gcp") / "objects.sqlite"
        self._local = threading.local()

    # -- reading ------------------------------------------------------------------------------------------------------

    def find(self, collection: str, name: str) -> Body | None:
        """The object's body, or None."""
        with self.transaction() as db:
            row = db.execute(
                "SELECT body FROM objects WHERE collection = ? AND name = ?", (collection, name)
            ).fetchone()
        return json.loads(row[0]) if row else None

    def get(self, collection: str, name: str) -> Body:
        """The object's body. Raises ApiError 404 if it does not exist."""
        body = self.find(collection, name)
        if body is None:
            raise not_found(name)
        return body

    def select(self, collection: str = "", under: str = "") -> list[tuple[str, str, Body]]:
        """(collection, name, body), oldest first: of one collection or all, below a resource name or anywhere."""
        prefix = under.rstrip("/") + "/" if under else ""
        with self.transaction() as db:
            rows = db.execute(
                "SELECT collection, name, body FROM objects WHERE (? = '' OR collection = ?)"
                " AND substr(name, 1, length(?)) = ? ORDER BY created, rowid",
                (collection, collection, prefix, prefix),
            ).fetchall()
        return [(row[0], row[1], json.loads(row[2])) for row in rows]

    # -- writing ------------------------------------------------------------------------------------------------------

    def insert(
        self,
        collection: str,
        name: str,
        body: Body,
        *,
        references: Iterable[Reference] = (),
        owner: Reference = ("", ""),
    ) -> None:
        """Adds an object: 409 if the name is in use, 404 if a referenced object does not exist."""
        with self.transaction() as db:
            self._check_targets(db, [*references, *([owner] if owner[0] else [])])
            try:
                db.execute(
                    "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?)",
                    (collection, name, json.dumps(body), time.time(), *owner),
                )
            except sqlite3.IntegrityError:
                raise already_exists(name) from None
            self._refer(db, collection, name, references)

    def update(
        self,
        collection: str,
        name: str,
        change: Callable[[Body], Body | None],
        *,
        references: Iterable[Reference] | None = None,
    ) -> Body:
        """Reads, changes and writes in one step, so that two writers lose nothing; returns the new body.

        `change` may change its argument or return another body. `references`, if given, replaces the old ones.
        """
        with self.transaction() as db:
            body = self.get(collection, name)
            body = change(body) or body
            db.execute(
                "UPDATE objects SET body = ? WHERE collection = ? AND name = ?", (json.dumps(body), collection, name)
            )
            if references is not None:
                references = list(references)
                self._check_targets(db, references)
                db.execute("DELETE FROM refs WHERE collection = ? AND name = ?", (collection, name))
                self._refer(db, collection, name, references)
        return body

    def delete(self, collection: str, name: str) -> None:
        """Deletes an object and what it owns: 404 if it does not exist, 400 if another object refers to any of them."""
        with self.transaction() as db:
            self.get(collection, name)
            removed = self._owned(db, (collection, name))
            for target in removed:
                users = db.execute("SELECT collection, name FROM refs WHERE to_collection = ? AND to_name = ?", target)
                for user in users.fetchall():
                    if tuple(user) not in removed:
                        raise in_use(*target, user[1])
            for target in removed:
                db.execute("DELETE FROM objects WHERE collection = ? AND name = ?", target)
                db.execute("DELETE FROM refs WHERE collection = ? AND name = ?", target)

    # -- inside -------------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is one write, which other processes see completely or not at all; nested uses join it."""
        outer: sqlite3.Connection | None = getattr(self._local, "db", None)
        if outer is not None:
            yield outer
            return
        try:
            db = self._open()
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            raise
        self._local.db = db
        try:
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
            raise
        finally:
            # Closing without COMMIT rolls back.
            self._local.db = None
            db.close()

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # No write-ahead log: every transaction here locks the file from its start, so that a log gains nothing, and
        # turning it on does not wait for others that open the new file at the same moment ("database is locked").
        db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            # The file must survive a killed process, not a power cut.
            db.execute("PRAGMA synchronous = OFF")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'used'").fetchone():
                db.executescript(_SCHEMA)
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Moves a damaged file away; the next use starts with an empty store."""
        if isinstance(error, sqlite3.OperationalError | sqlite3.IntegrityError):
            return
        stamp = time.strftime("%Y%m%d-%H%M%S")
        kept = paths.folder("attic") / f"gcp-objects-{stamp}.sqlite"
        for suffix in ("", "-journal"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(kept.with_name(kept.name + suffix))
        raise SandboxError(
            f"The store of Google Cloud objects was damaged ({error}) and its objects are lost; "
            f"the file is kept as {kept}.",
            "Run `make down` and then `make up` to build the environment again.",
        ) from error

    def _check_targets(self, db: sqlite3.Connection, targets: Iterable[Reference]) -> None:
        for collection, name in targets:
            if not db.execute("SELECT 1 FROM objects WHERE collection = ? AND name = ?", (collection, name)).fetchone():
                raise not_found(name)

    def _refer(self, db: sqlite3.Connection, collection: str, name: str, references: Iterable[Reference]) -> None:
        for target in references:
            db.execute("INSERT OR IGNORE INTO refs VALUES (?, ?, ?, ?)", (collection, name, *target))

    def _owned(self, db: sqlite3.Connection, root: Reference) -> list[Reference]:
        found: list[Reference] = [root]
        for owner in found:
            rows = db.execute(
                "SELECT collection, name FROM objects WHERE owner_collection = ? AND owner_name = ?", owner
            )
            found.extend((row[0], row[1]) for row in rows.fetchall())
        return found


_PERMANENT = ("serviceusage.services", "serviceusage.identities", "cloudkms.keyRings", "cloudkms.cryptoKeys")
"""Objects that a destroy also leaves on the real cloud: APIs stay enabled, with their agents; keys cannot be
deleted at all."""


def inventory() -> dict[str, int]:
    """The number of objects in each collection."""
    counts: dict[str, int] = {}
    for collection, _, _ in _existing():
        counts[collection] = counts.get(collection, 0) + 1
    return dict(sorted(counts.items()))


def leftovers() -> list[str]:
    """The names of resources that remain after a destroy although they should not."""
    return [
        f"{collection} {name}"
        for collection, name, body in _existing()
        if collection not in _PERMANENT and not _is_kept(body)
    ]


def kept() -> list[str]:
    """Disks that are declared to outlive their cluster: their volume has the reclaim policy Retain."""
    return [f"{collection} {name}" for collection, name, body in _existing() if _is_kept(body)]


def unprotect(instances: Iterable[str]) -> None:
    """Removes Filestore's deletion protection from these instances."""
    for name in instances:
        Store().update("file.instances", name, lambda body: {**body, "deletionProtectionEnabled": False})


def _is_kept(body: Body) -> bool:
    return bool(body.get("_sandbox", {}).get(KEPT))


def _existing() -> list[tuple[str, str, Body]]:
    # A read must not create the file.
    path = paths.home() / "gcp" / "objects.sqlite"
    return Store(path).select() if path.exists() else []
