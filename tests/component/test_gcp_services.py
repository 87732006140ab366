"""APIs of Google Cloud: they are enabled before anything is created, and remain enabled."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.gcp.services import REQUIRED, GcpServices
from recording.recorder import run
from recording.stacks import record
from tests.component.existing_gcp_network import network_lookups
from tests.component.stage import GCP_ZONES, gcp_options
from tests.config.test_errors import changed


class TestServices:
    @pytest.mark.parametrize("owned", [False, True])
    def test_nothing_is_created_before_its_api_is_enabled(self, owned: bool) -> None:
        """In a new project, accounts, roles and keys cannot be created before their API is enabled."""
        config = changed("dev-gke", {"gpuyard:cluster/secretsKey": "new"})
        if owned:
            given = {"network": "shared", "subnetwork": "gpus", "hostProject": "host-project", "grant": True}
            config["gpuyard:network"] = {"zones": GCP_ZONES, "existing": given}
        made = record(config, "dev-gke", outputs=network_lookups())
        services = made.all("gcp:projects/service:Service")
        others = [found for found in made.resources.values() if found.package == "gcp" and found not in services]
        assert len(services) > 5 and len(others) > 8
        for found in others:
            for service in services:
                assert made.must_outlive(service, found), (service, found)

    def test_apis_are_enabled_and_never_disabled(self) -> None:
        made = run(lambda: GcpServices("services", {"services": list(REQUIRED)}, gcp_options()))
        found = {service.inputs["service"]: service.inputs for service in made.all("gcp:projects/service:Service")}
        assert set(found) == set(REQUIRED)
        assert {inputs["disableOnDestroy"] for inputs in found.values()} == {False}

    def test_the_kms_api_is_enabled_only_with_a_key(self) -> None:
        def names(**cluster: Any) -> set[str]:
            made = record(changed("dev-gke", {f"gpuyard:cluster/{k}": v for k, v in cluster.items()}), "dev-gke")
            return {found.name for found in made.all("gcp:projects/service:Service")}

        assert names(secretsKey="new") - names() == {"services-cloudkms"}

    @pytest.mark.parametrize(
        ("services", "words"),
        [(["container"], "container.googleapis.com"), (["file.googleapis.com"] * 2, "named twice")],
    )
    def test_invalid_apis_are_refused(self, services: list[str], words: str) -> None:
        with pytest.raises(pulumi.RunError, match=words):
            run(lambda: GcpServices("services", {"services": services}, gcp_options()))
