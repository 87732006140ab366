"""What teams share a cluster by: namespaces, quotas and queues."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .kueue import Kueue as Kueue
    from .kueue import KueueArgs as KueueArgs
    from .team import Team as Team
    from .team import TeamArgs as TeamArgs
    from .team_spec import TeamLimits as TeamLimits
    from .team_spec import TeamMembers as TeamMembers
    from .team_spec import TeamNetwork as TeamNetwork
    from .team_spec import TeamQuota as TeamQuota
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
