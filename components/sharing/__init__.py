"""Teams that share a cluster's GPUs: queues with quotas, on both clouds."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .headroom import Headroom as Headroom
    from .headroom import HeadroomArgs as HeadroomArgs
    from .hold import PoolHold as PoolHold
    from .hold import PoolHoldArgs as PoolHoldArgs
    from .hold import PoolRelease as PoolRelease
    from .hold import PoolReleaseArgs as PoolReleaseArgs
    from .priorities import Priorities as Priorities
    from .priorities import PrioritiesArgs as PrioritiesArgs
    from .queues import Queues as Queues
    from .queues import QueuesArgs as QueuesArgs
    from .team_queue import TeamQueue as TeamQueue
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
