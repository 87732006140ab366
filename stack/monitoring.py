"""What Prometheus reads of the controllers that a stack installs, on both clouds: the metrics of Kueue and KEDA."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.monitoring.pod_scrape import PodScrape, PodScrapeArgs
from components.platforms import keda
from components.sharing import kueue

from .sharing import Queued


@dataclass(frozen=True)
class Prometheus:
    """The Prometheus of the cluster. `system`: '' without one. `kinds`: what must exist before a monitor can. `alerts`:
    the component with the rules."""

    system: str = ""
    kinds: Sequence[pulumi.Resource] = ()
    alerts: pulumi.Resource | None = None


def scrape(
    providers: list[pulumi.ProviderResource],
    prometheus: Prometheus,
    queued: Queued,
    platforms: Mapping[str, pulumi.Resource],
) -> None:
    """Monitors for those of the controllers that the cluster has. Only their own series are kept, not those of their
    runtime: a cloud may bill each sample."""
    if not prometheus.system:
        return
    found: dict[str, tuple[pulumi.Resource | None, PodScrapeArgs]] = {
        "kueue": (
            queued.controllers,
            {
                "system": prometheus.system,
                "namespace": kueue.NAMESPACE,
                "match_labels": kueue.PODS,
                "port": kueue.METRICS_PORT,
                "series": "kueue_.*",
                "protected": True,
            },
        ),
        "keda": (
            platforms.get("keda"),
            {
                "system": prometheus.system,
                "namespace": keda.NAMESPACE,
                "match_labels": keda.PODS,
                "port": keda.METRICS_PORT,
                "series": "keda_.*",
            },
        ),
    }
    for name, (controllers, args) in found.items():
        if controllers is not None:
            after = [controllers, *prometheus.kinds]
            PodScrape(f"{name}-metrics", args, pulumi.ResourceOptions(providers=providers, depends_on=after))
