"""Model servers: what their users wait for, and whether they have room."""

from ..rules import sources
from ..rules.rule import Context
from .panel import COUNT, LINES, PER_SECOND, PERCENT, SECONDS, STACK, Dashboard, Panel, Query, Row, Variable

NAMESPACE, MODEL = (
    Variable("namespace", "vllm:num_requests_running"),
    Variable("model_name", "vllm:num_requests_running"),
)
_SERVERS = (sources.SERVERS,)


def dashboard(context: Context) -> Dashboard:
    """The dashboard."""
    where = f"{{{NAMESPACE.matcher},{MODEL.matcher}}}"

    def quantiles(name: str, *shares: float) -> list[Query]:
        buckets = f"sum by (model_name, le) (rate(vllm:{name}_seconds_bucket{where}[5m]))"
        return [Query(f"histogram_quantile({share}, {buckets})", f"{{{{model_name}}}} {share:.0%}") for share in shares]

    def total(expr: str, legend: str = "{{model_name}}") -> list[Query]:
        return [Query(expr, legend)]

    users = Row("What users wait for", [
        Panel(
            "first token", quantiles("time_to_first_token", 0.5, 0.95), SECONDS, _SERVERS,
            "Time until the first token: queue and prompt.", LINES, 5,
        ),
        Panel("between tokens", quantiles("inter_token_latency", 0.5, 0.95), SECONDS, _SERVERS, "How fluent it reads."),
        Panel("whole request", quantiles("e2e_request_latency", 0.5, 0.95), SECONDS, _SERVERS),
    ])  # fmt: skip
    load = Row("Load", [
        Panel(
            "requests that run", total(f"sum by (model_name) (vllm:num_requests_running{where})"), COUNT, _SERVERS, "",
            STACK,
        ),
        Panel(
            "requests that wait, per server", total(f"avg by (model_name) (vllm:num_requests_waiting{where})"), COUNT,
            _SERVERS, "What KEDA scales on.", LINES, 10,
        ),
        Panel(
            "key-value cache in use",
            total(f"100 * max by (model_name, pod) (vllm:kv_cache_usage_perc{where})", "{{pod}}"), PERCENT, _SERVERS,
            "At 100 % requests wait or are preempted.", LINES, 95,
        ),
        Panel("servers", total(f"count by (model_name) (vllm:num_requests_running{where})"), COUNT, _SERVERS),
    ])  # fmt: skip
    out = Row("Output", [
        Panel(
            "tokens a second", total(f"sum by (model_name) (rate(vllm:generation_tokens_total{where}[5m]))"),
            PER_SECOND, _SERVERS,
        ),
        Panel(
            "prompt tokens a second", total(f"sum by (model_name) (rate(vllm:prompt_tokens_total{where}[5m]))"),
            PER_SECOND, _SERVERS,
        ),
        Panel(
            "requests that end, a second",
            total(
                f"sum by (model_name, finished_reason) (rate(vllm:request_success_total{where}[5m]))",
                "{{model_name}} {{finished_reason}}",
            ),
            PER_SECOND, _SERVERS, "abort: the client left. length: the limit of tokens.", STACK,
        ),
    ])  # fmt: skip
    text = "Are model servers quick enough, and do they have room?"
    return Dashboard("serving", "Model serving", text, [users, load, out], [NAMESPACE, MODEL])
