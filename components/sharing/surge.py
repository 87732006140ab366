"""Whether a rolling update of a model server may start a new pod before an old one ends."""

from ..pools import Pool


def max_surge(pool: Pool, gpus_of_node: int, gpus_of_pod: int, replicas: int) -> int:
    """`maxSurge` of a Deployment on a pool: 1 if the pool has a place for one more pod when it is at its `max`, else 0.
    With 0, and `maxUnavailable: 1`, an update replaces pods one by one; with 1 on a full pool the new pod would never
    start, and the update never end.

    Args:
        pool: the pool.
        gpus_of_node: `nvidia.com/gpu` of each node.
        gpus_of_pod: `nvidia.com/gpu` that each pod requests.
        replicas: the most pods that the Deployment has.
    """
    places = pool.max * (gpus_of_node // max(1, gpus_of_pod))
    return int(replicas < places)
