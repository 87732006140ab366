"""Teams that share a cluster's GPUs: queues with quotas, on both clouds."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .kueue import Kueue as Kueue
    from .kueue import KueueArgs as KueueArgs
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
