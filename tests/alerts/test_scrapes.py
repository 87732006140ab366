"""Prometheus accepts the scrape configuration of EKS."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from components.monitoring import cluster_scrapes
from tests.alerts.promtool import promtool

pytestmark = pytest.mark.alerts


def test_prometheus_accepts_the_scrape_jobs(tmp_path: Path) -> None:
    """security case M14: the jobs that replace the chart's monitors. The files are in the pod."""
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump({"scrape_configs": cluster_scrapes.jobs()}))
    done = promtool(tmp_path, "check", "config", "--syntax-only", "prometheus.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
