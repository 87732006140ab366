"""Prometheus on both clouds: the chart, alert rules, and scraping of pods."""

from typing import TYPE_CHECKING

from ..exports import lazy

if TYPE_CHECKING:
    from .alerts import Alerts as Alerts
    from .alerts import AlertsArgs as AlertsArgs
    from .alerts import NodePrice as NodePrice
    from .alerts import ReservationFacts as ReservationFacts
    from .grafana_dashboards import GrafanaDashboards as GrafanaDashboards
    from .grafana_dashboards import GrafanaDashboardsArgs as GrafanaDashboardsArgs
    from .limits import CapacityLimits as CapacityLimits
    from .limits import GpuHealthLimits as GpuHealthLimits
    from .limits import GpuUseLimits as GpuUseLimits
    from .limits import PodLimits as PodLimits
    from .limits import QueueLimits as QueueLimits
    from .limits import ServingLimits as ServingLimits
    from .pod_scrape import PodScrape as PodScrape
    from .pod_scrape import PodScrapeArgs as PodScrapeArgs
    from .prometheus_stack import Monitoring as Monitoring
    from .prometheus_stack import MonitoringArgs as MonitoringArgs
    from .stalled_jobs import StalledJobs as StalledJobs
    from .stalled_jobs import StalledJobsArgs as StalledJobsArgs
    from .state_metrics import StateMetrics as StateMetrics
    from .state_metrics import StateMetricsArgs as StateMetricsArgs
else:
    __getattr__, __dir__, __all__ = lazy(__name__)
