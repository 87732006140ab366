"""Objects that a CSI driver of GKE creates for claims: those of one cluster, in the store."""

from __future__ import annotations

from sandbox.gcp.store import ApiError, Store


class Claimed:
    """The objects of one GKE cluster (the protocol of sandbox/cluster/volumes.py)."""

    def __init__(self, project: str, location: str, cluster: str, store: Store | None = None) -> None:
        self._project = project
        self._location = location
        self._cluster = cluster
        self._store = store or Store()

    def _delete(self, collection: str, name: str) -> None:
        """Deletes an object; does nothing if it does not exist."""
        try:
            self._store.delete(collection, name)
        except ApiError as error:
            if error.code != 404:
                raise


def labels(parameters: dict[str, str]) -> dict[str, str]:
    """The labels in a storage class."""
    return dict(each.split("=", 1) for each in parameters.get("labels", "").split(",") if each)
