"""How long an admitted job may wait for its nodes, and what a gang that gets only a part of them costs.

No autoscaler starts all nodes of a gang or none, except for GKE's queued pools: nodes that came wait, and are paid for,
while others are missing (karpenter#3138). Kueue bounds that: it stops the job after a time, and its nodes are removed
before it is admitted again.
"""

from collections.abc import Iterable

from .queue_pool import QueuePool

_IMAGE_MINUTES = 5
"""A first pull of an image of 20 GB, as training images have."""
_RUNG_MINUTES = 5
"""How soon the autoscaler tries the next rung after the cloud refuses one."""
_MANY_GPUS = 8


def pods_ready_minutes(pools: Iterable[QueuePool]) -> int:
    """How long the pods of an admitted job may take until all are ready: the time in which nodes of the slowest pool
    start, on the last rung of its ladder, and pull an image. Machines with eight GPUs need about ten minutes to join,
    others with GPUs five (the autoscaler of `ClusterAutoscaler` gives up after 15)."""
    return (
        max((_boot(pool) + _RUNG_MINUTES * (len(pool.pool.capacity) - 1) for pool in pools), default=0) + _IMAGE_MINUTES
    )


def _boot(pool: QueuePool) -> int:
    return 10 if pool.pool.gpus >= _MANY_GPUS else 5 if pool.pool.gpus else 3


def first_retry_seconds(scale_down_after_minutes: int) -> int:
    """How long a stopped job waits before it is admitted again: until the autoscaler has removed its idle nodes, so
    that the wait is not paid for."""
    return min(3600, 60 * (scale_down_after_minutes + 1))


def failed_gang_node_minutes(nodes: int, pods_ready: int, scale_down_after: int) -> int:
    """The bill of one attempt in which some nodes of a gang are missing, in minutes of a node: those that came wait for
    the others and are then idle until they are removed.

    Args:
        nodes: nodes that came.
        pods_ready: minutes after which the job is stopped.
        scale_down_after: minutes after which an idle node is removed.
    """
    return nodes * (pods_ready + scale_down_after)
