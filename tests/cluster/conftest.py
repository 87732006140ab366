"""The control plane and the fixtures around it that the sandbox's own tests use, for the library's tests."""

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

__all__ = [
    "api",
    "balancers",
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
