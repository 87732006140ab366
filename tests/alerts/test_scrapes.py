"""What Prometheus on EKS scrapes by itself is a configuration that Prometheus takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from components.monitoring import cluster_scrapes
from tests.alerts.test_rules import promtool

pytestmark = pytest.mark.alerts


def test_prometheus_accepts_the_scrape_jobs(tmp_path: Path) -> None:
    """security case M14: the jobs that take the place of the chart's monitors. Files are those of the pod."""
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump({"scrape_configs": cluster_scrapes.jobs()}))
    assert "SUCCESS" in promtool(tmp_path, "check", "config", "--syntax-only", "prometheus.yaml")
