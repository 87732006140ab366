"""Empties a cluster of either cloud before it is destroyed."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .component import ClusterCleanup as ClusterCleanup
    from .component import ClusterCleanupArgs as ClusterCleanupArgs
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
