"""Renders the facts of `status.py` as text for the user. It queries nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sandbox.progress import DONE

Facts = dict[str, Any]
_GROUP_TAG = "aws:autoscaling/tag:Tag"
_PARTS = ("create-replacement", "delete-replaced")


def up(facts: Facts, changes: dict[str, int], seconds: float, warnings: list[str]) -> RenderableType:
    """The summary at the end of `up`. `changes`: number of resources by operation."""
    stack = facts["stack"]
    head = Text.assemble(
        ("✔ ", "green"),
        (stack["name"], "bold"),
        " is up in the sandbox: ",
        f"{done(stack['resources'], changes)}, {clock(seconds)}, {memory(facts)}",
    )
    parts: list[RenderableType] = ["", head, "", *body(facts)]
    for warning in warnings:
        parts.append(Text(f"! {warning}", style="yellow"))
    return Group(*parts, "", next_steps(stack["name"], facts))


def done(resources: int, changes: dict[str, int]) -> str:
    """The number of objects, and what `up` changed, with the counts of a preview."""
    shown = ("create", "update", "replace", "delete")
    counts = {DONE[operation]: changes[operation] for operation in shown if changes.get(operation)}
    if not counts:
        return "nothing to change"
    first = set(changes) <= {"create", "read"}
    return f"{resources} resources" + ("" if first else f" ({counted(counts)})")


def status(facts: Facts) -> RenderableType:
    """The text of `status`."""
    stack, sandbox = facts["stack"], facts["sandbox"]
    if not facts["stacks_up"] and not sandbox["processes"]:
        return Text(f"Nothing is up. Bring {stack['name']} up with: make up STACK={stack['name']}")
    up_there = ", ".join(facts["stacks_up"]) or "none"
    head = Text(
        f"Stack {stack['name']}: {stack['resources']} resources, last update {stack['last_update'][:19] or 'never'}"
    )
    where = Text(
        f"Sandbox {sandbox['home']}: {len(sandbox['processes'])} processes, {memory(facts)}; stacks up: {up_there}"
    )
    parts: list[RenderableType] = [head, where, "", *body(facts)]
    if facts["nodes"]:
        parts += ["", nodes(facts["nodes"])]
    if facts["pods"]:
        parts.append(Text("pods: " + counted(Counter(pod["phase"] for pod in facts["pods"]))))
    for cloud, counts in facts["cloud"].items():
        if counts:
            parts.append(Text(f"{cloud}: " + counted(counts)))
    parts += [Text(f"! {problem}", style="yellow") for problem in facts["problems"]]
    return Group(*parts)


def steps(found: list[Facts]) -> list[str]:
    """The text of a preview: one line for each object that changes. A replacement is one line instead of three. The
    tags of Auto Scaling groups are only counted, because each node group has a dozen."""
    replaced = {step["urn"] for step in found if step["operation"] == "replace"}
    width = max([45, *(len(step["type"]) for step in found)])
    lines, tags = [], Counter[str]()
    for step in found:
        operation, type = step["operation"], step["type"]
        if operation in _PARTS and step["urn"] in replaced:
            continue
        if type == _GROUP_TAG:
            tags[operation] += 1
            continue
        properties = f"  {', '.join(step['properties'])}" if step["properties"] else ""
        lines.append(f"{operation:10} {type:{width}} {step['urn'].rpartition('::')[2]}{properties}")
    return lines + [f"{operation:10} {_GROUP_TAG:{width}} {count} of node groups" for operation, count in tags.items()]


def body(facts: Facts) -> list[RenderableType]:
    parts: list[RenderableType] = [cluster(facts)]
    if facts["node_pools"]:
        parts += ["", node_pools(facts["node_pools"])]
    if facts["storage_classes"]:
        parts += ["", storage_classes(facts["storage_classes"])]
    if facts["releases"]:
        parts += ["", releases(facts["releases"])]
    if facts["controllers"]:
        parts += ["", controllers(facts["controllers"])]
    return parts


def cluster(facts: Facts) -> RenderableType:
    outputs = facts["stack"]["outputs"]
    cloud = {"aws": "EKS", "gcp": "GKE"}.get(facts["stack"]["cloud"], "Kubernetes")
    if "clusterName" not in outputs and facts["control_plane"]:
        return Text(
            f"{cloud} cluster {facts['control_plane']}: it exists, but the last `up` failed; run `make up` again"
        )
    if "clusterName" not in outputs:
        return Text("no cluster yet")
    version = outputs.get("kubernetesVersion", "")
    return Text.assemble(
        f"{cloud} cluster ",
        (str(outputs["clusterName"]), "bold"),
        f", Kubernetes {version}, {facts['stack']['region']}, {outputs.get('endpoint', '')}",
    )


def node_pools(pools: list[Facts]) -> Table:
    table = _table("node pool", "machine type", "min..max", "nodes", "capacity", "GPUs", "labels", "taints")
    for pool in pools:
        labels = [f"{k}={v}" for k, v in sorted(pool["labels"].items()) if "/" not in k]
        table.add_row(
            escape(pool["name"]),
            ", ".join(pool["machine_types"]),
            f"{pool['min']}..{pool['max']}",
            str(pool["nodes"]),
            " → ".join(pool["capacity"]),
            str(pool["gpus_per_node"] or ""),
            "\n".join(labels),
            "\n".join(map(taint, pool["taints"])),
        )
    return table


def nodes(found: list[Facts]) -> Table:
    table = _table("node", "pool", "machine type", "zone", "ready", "GPUs", "taints")
    for node in found:
        ready = "yes" if node["ready"] else "[red]no[/red]"
        taints = "\n".join(map(taint, node["taints"]))
        table.add_row(
            node["name"], node["pool"], node["machine_type"], node["zone"], ready, str(node["gpus"] or ""), taints
        )
    return table


def storage_classes(classes: list[Facts]) -> Table:
    table = _table("storage class", "provisioner", "reclaim", "")
    for each in classes:
        table.add_row(each["name"], each["provisioner"], each["reclaim_policy"], "default" if each["default"] else "")
    return table


def releases(found: list[Facts]) -> Table:
    table = _table("release", "namespace", "chart", "version", "status", "")
    for each in found:
        mark = "[yellow]stand-in: the chart could not be reached[/yellow]" if each["rendered"] != "chart" else ""
        table.add_row(each["name"], each["namespace"], each["chart"], each["version"], each["status"], mark)
    return table


def controllers(found: list[Facts]) -> Table:
    table = _table("controller", "namespace", "deployment", "ready", "restarts", "")
    for each in found:
        ready = "yes" if each["ready"] else "[red]no[/red]"
        table.add_row(
            *(each["program"], each["namespace"], each["deployment"], ready, str(each["restarts"] or "")),
            escape(each["message"]),
        )
    return table


def tools(cloud: str) -> str:
    """The user's programs that work on the sandbox."""
    return "pulumi, kubectl and aws" if cloud == "aws" else "pulumi and kubectl"


def next_steps(stack: str, facts: Facts) -> Table:
    others = facts["stacks_up"] != [stack]
    which = f" STACK={stack}" if others or stack != "dev" else ""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for command, what in (
        (f"make demo{which}", "watch a training job scale the GPU pool from zero and survive a spot interruption"),
        (f"make shell{which}", f"a shell in which plain {tools(facts['stack']['cloud'])} talk to the sandbox"),
        (f"make status{which}", "what runs"),
        ("make down", "destroy everything"),
    ):
        table.add_row(f"[bold]{command}[/bold]", what)
    return table


def memory(facts: Facts) -> str:
    return f"{facts['sandbox']['memory_mib']:,} MiB of memory"


def counted(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def taint(each: Facts) -> str:
    return f"{each['key']}={each['value']}:{each['effect']}"


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def show(picture: RenderableType) -> None:
    """Prints to stdout, as wide as the terminal; without a terminal, wide enough that no word is broken."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=140)
    console.print(picture)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
