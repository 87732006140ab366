"""Contract tests use an empty temporary sandbox folder for lookups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def empty_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The simulated providers read and cache in `$GPUYARD_SANDBOX`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPUYARD_SANDBOX", str(tmp_path_factory.mktemp("sandbox")))
        yield
