"""Why a job does not run: its way from the quota to the image, from left to right."""

from ..rules import sources
from ..rules.queues import DECIDING
from ..rules.rule import Context
from .panel import COUNT, LINES, PERCENT, SECONDS, STACK, STATE, Dashboard, Panel, Query, Row, Variable

QUEUE = Variable("cluster_queue", "kueue_pending_workloads")
_QUEUES, _AUTOSCALER = (sources.QUEUES,), (sources.AUTOSCALER,)
_GPU = 'resource=~"nvidia.com/.*"'


def dashboard(context: Context) -> Dashboard:
    """The dashboard."""
    one = f"{QUEUE.matcher},{DECIDING}"
    quota = "sum by (cluster_queue) (kueue_cluster_queue_{}{{" + f"{one},{_GPU}" + "}})"
    backed_off = "max by (node_group) (cluster_autoscaler_node_group_backoff_status) == 1"
    waiting = "sum by (reason) (kube_pod_container_status_waiting_reason == 1)"
    way = Row("Why is my job not running? Quota → admission → autoscaler → node → image", [
        Panel(
            "1 quota in use",
            [Query(f"100 * {quota.format('resource_usage')} / {quota.format('nominal_quota')}", "{{cluster_queue}}")],
            PERCENT, _QUEUES, "100 %: jobs wait for others to end, or borrow; more than 100 % is borrowed.", LINES, 100,
        ),
        Panel(
            "2 workloads that wait",
            [Query(
                f"sum by (cluster_queue, status) (kueue_pending_workloads{{{one}}})", "{{cluster_queue}} {{status}}"
            )],
            COUNT, _QUEUES, "active: next in line. inadmissible: nothing fits them now.", STACK,
        ),
        Panel(
            "3 pods without a node",
            [
                Query('sum(cluster_autoscaler_unschedulable_pods_count)', "unschedulable"),
                Query(backed_off, "{{node_group}} has no capacity"),
                Query(
                    "sum by (reason) (increase(cluster_autoscaler_failed_scale_ups_total[15m]))", "failed: {{reason}}"
                ),
            ],
            COUNT, _AUTOSCALER, "The autoscaler adds nodes for these, unless a group has no capacity.", LINES, 0,
        ),
        Panel(
            "4 nodes on their way", [Query("sum by (state) (cluster_autoscaler_nodes_count)", "{{state}}")], COUNT,
            _AUTOSCALER, "notStarted and unregistered: machines that start or do not join.", STACK,
        ),
        Panel(
            "5 containers that wait", [Query(waiting, "{{reason}}")], COUNT, STATE,
            "ContainerCreating: images and volumes. ImagePullBackOff: a wrong image.", STACK,
        ),
    ])  # fmt: skip

    def wait(name: str, title: str, text: str) -> Panel:
        buckets = f"sum by (cluster_queue, le) (increase(kueue_{name}_wait_time_seconds_bucket{{{one}}}[1h]))"
        return Panel(title, [Query(f"histogram_quantile(0.9, {buckets})", "{{cluster_queue}}")], SECONDS, _QUEUES, text)

    waits = Row("How long each step takes (nine of ten workloads)", [
        wait("quota_reserved", "until quota", "From its creation until quota is reserved."),
        wait("admission_checks", "admission checks", "Such as a ProvisioningRequest."),
        wait("admitted_until_ready", "until all pods run", "Nodes, images, init containers."),
        Panel(
            "evicted in an hour",
            [Query(
                f"sum by (cluster_queue, reason) (increase(kueue_evicted_workloads_total{{{one}}}[1h]))",
                "{{cluster_queue}} {{reason}}",
            )],
            COUNT, _QUEUES, "Preempted: another queue took back what was borrowed.", STACK,
        ),
    ])  # fmt: skip
    full = Row("Limits of namespaces", [
        Panel(
            "ResourceQuota of GPUs in use",
            [Query(
                '100 * max by (namespace) (kube_resourcequota{resource=~".*nvidia.com.*",type="used"})'
                ' / max by (namespace) (kube_resourcequota{resource=~".*nvidia.com.*",type="hard"})',
                "{{namespace}}",
            )],
            PERCENT, STATE, "At 100 % pods are refused: they do not exist, and their Job has the event.", LINES, 100,
        ),
        Panel(
            "pods that request GPUs, by phase",
            [Query(
                "sum by (namespace, phase) (kube_pod_status_phase == 1 and on (namespace, pod)"
                ' kube_pod_container_resource_requests{resource="nvidia_com_gpu"})',
                "{{namespace}} {{phase}}",
            )],
            COUNT, STATE, "", STACK,
        ),
    ])  # fmt: skip
    text = "Where does a job wait, and for how long?"
    return Dashboard("queue", "Why is my job not running?", text, [way, waits, full], [QUEUE])
