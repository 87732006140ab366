"""The control plane and the fixtures around it that the sandbox's own tests use, for the library's tests."""

from collections.abc import Iterator

import pytest

from sandbox.tests.cluster.conftest import (
    api,
    balancers,
    cloud,
    controllers,
    fleet,
    jobset,
    keda,
    kueue,
    namespace,
    plane,
    pods,
    release,
    sandbox_home,
)
from tests.real_charts import RealCharts, collect, program

__all__ = [
    "api",
    "balancers",
    "charts",
    "cloud",
    "controllers",
    "fleet",
    "jobset",
    "keda",
    "kueue",
    "namespace",
    "plane",
    "pods",
    "release",
    "sandbox_home",
]


@pytest.fixture(scope="package")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCharts]:
    """The charts that can be had on this machine, and the real helm on PATH."""
    folder = tmp_path_factory.mktemp("charts")
    with program(tmp_path_factory.mktemp("cache")):
        yield collect(folder)
