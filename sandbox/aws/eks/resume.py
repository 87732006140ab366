"""Resumes the work of EKS after a restart of the server."""

from __future__ import annotations

import threading

from sandbox.aws import state
from sandbox.aws.eks import cluster, nodegroup


def resume_all() -> None:
    """After a restart of the server: starts every cluster's control plane again and finishes pending operations."""
    with state.LOCK:
        work = cluster.all_clusters()
    threads = []
    for backend, found in work:
        if found["cluster"]["status"] == "DELETING":
            task = threading.Thread(target=cluster.take_down, args=(backend, found), daemon=True)
        else:
            task = threading.Thread(target=cluster.bring_up, args=(backend, found), daemon=True)
        task.start()
        threads.append(task)
    for task in threads:
        task.join()
    for backend, found in work:
        nodegroup.resume(backend, found)
