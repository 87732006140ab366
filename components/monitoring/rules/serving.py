"""Model servers. The names are vLLM's (docs.vllm.ai, "Production Metrics", stable); others may use the same."""

from collections.abc import Iterator

from . import sources
from .rule import WARNING, Context, Rule

_NEEDS = (sources.SERVERS,)


def rules(context: Context) -> Iterator[Rule]:
    """The rules."""
    limits = context.limits.serving
    minutes, seconds, waiting = limits["serving_minutes"], limits["first_token_seconds"], limits["waiting_count"]
    buckets = "sum by (namespace, model_name, le) (rate(vllm:time_to_first_token_seconds_bucket[5m]))"
    yield Rule(
        f"histogram_quantile(0.95, {buckets}) > {seconds}",
        _NEEDS,
        alert="ServingLatencyHigh",
        minutes=minutes,
        severity=WARNING,
        summary="{{ $labels.model_name }} in {{ $labels.namespace }}: first token after {{ $value | humanize }} s",
        description=(
            f"One of twenty requests waits more than {seconds} seconds for its first token, for {minutes} minutes. "
            "Requests queue, or prompts are longer than usual. Are more servers allowed, and do they get nodes?"
        ),
        dashboard="serving",
    )
    yield Rule(
        f"avg by (namespace, model_name) (avg_over_time(vllm:num_requests_waiting[5m])) > {waiting}",
        _NEEDS,
        alert="ServingQueueLong",
        minutes=minutes,
        severity=WARNING,
        summary=(
            "{{ $labels.model_name }} in {{ $labels.namespace }}: {{ $value | humanize }} requests wait per server"
        ),
        description=(
            f"More than {waiting} for {minutes} minutes. The autoscaler of the servers is at its maximum, or new "
            "servers wait for nodes, images or weights."
        ),
        dashboard="serving",
    )
