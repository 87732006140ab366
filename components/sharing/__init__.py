"""What teams share a cluster by: namespaces, quotas and queues."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .headroom import Headroom as Headroom
    from .headroom import HeadroomArgs as HeadroomArgs
    from .hold import PoolHold as PoolHold
    from .hold import PoolHoldArgs as PoolHoldArgs
    from .hold import PoolRelease as PoolRelease
    from .hold import PoolReleaseArgs as PoolReleaseArgs
    from .kueue import Kueue as Kueue
    from .kueue import KueueArgs as KueueArgs
    from .priorities import Priorities as Priorities
    from .priorities import PrioritiesArgs as PrioritiesArgs
    from .queues import Queues as Queues
    from .queues import QueuesArgs as QueuesArgs
    from .team import Team as Team
    from .team import TeamArgs as TeamArgs
    from .team_queue import TeamQueue as TeamQueue
    from .team_spec import TeamLimits as TeamLimits
    from .team_spec import TeamMembers as TeamMembers
    from .team_spec import TeamNetwork as TeamNetwork
    from .team_spec import TeamQuota as TeamQuota
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
