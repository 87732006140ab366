"""How a Helm chart is installed: its source, its images, its release.

`release.release` installs a chart of yours as the library installs its own; `ImagesArgs` is exported by `gpuyard`.
"""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from ..versions import Chart as Chart
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
