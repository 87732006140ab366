"""The Kubernetes version of a pool, on both clouds."""

from __future__ import annotations

import pulumi
import pytest

from tests.component import eks_pools, gke_pools
from tests.component.stage import GKE_GPU, GUIDE_GPU


@pytest.mark.parametrize("version", ["banana", "v1.35", "1.35.2", "1"])
def test_a_value_that_is_not_a_minor_version_is_refused(version: str) -> None:
    with pytest.raises(pulumi.RunError, match=r"kubernetes_version = .*: not a Kubernetes minor version"):
        eks_pools.node_pool(GUIDE_GPU, kubernetes_version=version)
    with pytest.raises(pulumi.RunError, match=r"kubernetes_version = .*: not a Kubernetes minor version"):
        gke_pools.node_pool(GKE_GPU, kubernetes_version=version)
