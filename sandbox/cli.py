"""The commands of `python -m sandbox`. Each one calls a module and prints the result.

Exit codes: 0 success, 1 a problem that is reported on stderr, 2 a wrong command line, 130 interrupted.
"""

from __future__ import annotations

import errno
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import click
from rich.text import Text

from sandbox import environment, interactive, paths, process, session, status, stories, summary
from sandbox import kubeconfig as kubeconfigs
from sandbox.errors import ReportedError, SandboxError
from sandbox.progress import console
from sandbox.stacks import CorruptState, Stack, chosen, existing, remember
from sandbox.status import plane_of

Command = Callable[..., Any]


def stack_option(command: Command) -> Command:
    """The option --stack, for every command that works on one stack."""
    return click.option(
        "--stack",
        "name",
        metavar="NAME",
        help="Stack to work on (default: $STACK, otherwise the stack that was brought up last, otherwise dev).",
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print only JSON to stdout.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Run any environment of this project on this machine without a cloud account: real engine, simulated clouds."""


@cli.command()
@stack_option
@click.option(
    "--config",
    "values",
    metavar="PATH=VALUE",
    multiple=True,
    help="Another value than the file's, in this run only: --config gpuyard:nodePools.gpu-workers.max=12",
)
@json_option
def up(name: str | None, values: tuple[str, ...], as_json: bool) -> None:
    """Create a stack, or update it."""
    stack, begun = chosen(name), time.monotonic()
    with session.opened(stack, f"up {stack.name}") as engine:
        outcome = engine.run("up", values=values, title=f"up {stack.name}")
        remember(stack)
        status.await_nodes(stack)
        facts = status.collect(stack)
    seconds = time.monotonic() - begun
    if as_json:
        result = {"changes": outcome.changes, "changed": outcome.changed, "seconds": round(seconds, 1)}
        _print_json({**result, "warnings": outcome.warnings, "status": facts})
    else:
        summary.show(summary.up(facts, outcome.changes, seconds, outcome.warnings))


@cli.command()
@stack_option
@json_option
def preview(name: str | None, as_json: bool) -> None:
    """Show what `up` would change."""
    stack = chosen(name)
    with session.opened(stack, f"preview {stack.name}") as engine:
        outcome = engine.run("preview", title=f"preview {stack.name}")
    steps = [
        {"operation": step["op"], "urn": step["urn"], "type": step["type"], "properties": step.get("diffs") or []}
        for step in outcome.steps
    ]
    if as_json:
        _print_json({"changes": outcome.changes, "steps": steps, "warnings": outcome.warnings})
        return
    for line in summary.steps(steps):
        click.echo(line)
    for warning in outcome.warnings:
        console.print(Text(f"! {warning}", style="yellow"))
    changes = {operation: count for operation, count in outcome.changes.items() if operation != "same"}
    same = outcome.changes.get("same", 0)
    click.echo(f"{stack.name}: {summary.counted(changes) or 'no change'}" + (f"; {same} stay the same" if same else ""))


@cli.command()
@stack_option
@click.option("--force", is_flag=True, help="Stop and remove everything without the engine, even in a broken sandbox.")
def down(name: str | None, force: bool) -> None:
    """Destroy everything and leave nothing running; with --stack, only that stack."""
    from sandbox import down as demolition

    name = name or os.environ.get("STACK") or None
    stacks = [chosen(name)] if name else existing()
    if name:
        stacks[0].require()
    if name and not stacks[0].exists and not force:
        session.report(f"stack {name} is not up")
        return
    demolition.run(stacks, everything=not name, force=force)


@cli.command(name="status")
@stack_option
@json_option
def show_status(name: str | None, as_json: bool) -> None:
    """Show what runs: processes, node pools, nodes, pods, storage classes, releases, cloud objects."""
    stack = chosen(name)
    stack.require()
    facts = status.collect(stack)
    if as_json:
        _print_json(facts)
    else:
        summary.show(summary.status(facts))


@cli.command()
@stack_option
@click.option(
    "--story",
    type=click.Choice(stories.NAMES),
    default=stories.NAMES[0],
    envvar="STORY",
    help="scale: a training job, from a pool of 0 nodes to 0; teams: two teams on a full pool; roll: a pool whose "
    "nodes are replaced while a job trains.",
)
@json_option
def demo(name: str | None, story: str, as_json: bool) -> None:
    """Watch a story: a job that scales a pool from zero, two teams that share a full one, or one that is replaced."""
    from sandbox import demo as demonstration

    stack = chosen(name)
    demonstration.run(stack, _running_plane(stack), story, as_json)


@cli.command()
@stack_option
def env(name: str | None) -> None:
    """Print export lines: eval "$(python -m sandbox env)" makes plain pulumi, kubectl and aws talk to the sandbox."""
    click.echo(environment.lines(_exports(chosen(name))))


@cli.command()
@stack_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(name: str | None, command: tuple[str, ...]) -> None:
    """Open a shell on the sandbox (or run COMMAND in its environment: shell -- kubectl get nodes)."""
    stack = chosen(name)
    variables = {**os.environ, **_exports(stack)}
    program = list(command)
    if not command:
        program, more = interactive.start(os.environ.get("SHELL") or "/bin/sh", variables)
        variables |= more
        no_gcloud = "" if stack.cloud == "aws" else " (gcloud is not simulated; kubectl is already connected)"
        cluster = "" if plane_of(stack.checkpoint()) else " (it has no cluster yet)"
        console.print(
            f"  a shell on stack {stack.name}{cluster}: {summary.tools(stack.cloud)} talk to the sandbox and never to "
            f"an account of yours{no_gcloud}; leave it with exit"
        )
    sys.stdout.flush()
    try:
        os.execvpe(program[0], program, variables)
    except OSError as error:
        raise SandboxError(f"{program[0]} cannot be run: {error.strerror}.", "set SHELL, or name a command") from None


@cli.command()
@stack_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(name: str | None, arguments: tuple[str, ...]) -> None:
    """Run kubectl on the stack's cluster: kubectl -- get nodes."""
    stack = chosen(name)
    variables = {**os.environ, **_exports(stack)}
    if not plane_of(stack.checkpoint()):
        raise SandboxError(f"Stack {stack.name} has no cluster yet.", f"make up STACK={stack.name}")
    os.execvpe("kubectl", ["kubectl", *arguments], variables)


@cli.command()
@click.argument("name", required=False)
@click.option("--lines", default=40, show_default=True, help="Number of lines to print from the end.")
def logs(name: str | None, lines: int) -> None:
    """Print the end of a process's log; without NAME, the names of all logs."""
    run = paths.home() / "run"
    names = sorted(path.stem for path in run.glob("*.log")) if run.is_dir() else []
    if not name:
        click.echo("\n".join(names))
    elif name in names:
        click.echo(process.log_end(name, lines))
    else:
        raise SandboxError(f"There is no log named {name!r}.", f"use one of: {', '.join(names) or 'none yet'}")


def _exports(stack: Stack) -> dict[str, str]:
    session.require_up(stack)
    checkpoint = stack.checkpoint()
    region = checkpoint.outputs.get("region") or (stack.region if stack.file.exists() else "")
    kubeconfig = kubeconfigs.write(stack, plane_of(checkpoint))
    return environment.exports(str(region) if stack.cloud == "aws" else "", kubeconfig)


def _running_plane(stack: Stack) -> Any:
    session.require_up(stack)
    plane = plane_of(stack.checkpoint())
    if not plane or not plane.api().ready():
        raise SandboxError(f"The cluster of stack {stack.name} does not run.", f"make up STACK={stack.name}")
    return plane


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, default=str))


def print_error(error: ReportedError) -> None:
    """Problem, detail and fix on stderr."""
    console.print(Text.assemble("\n", ("Error: ", "bold red"), error.problem))
    if error.detail:
        console.print(Text("\n".join(f"  {line}" for line in error.detail.splitlines())))
    if error.fix:
        words, *commands = error.fix.splitlines()
        console.print(Text.assemble(("Fix: ", "bold green"), words))
        for each in commands:
            console.print(Text(each), soft_wrap=True)  # a person copies it


def main() -> None:
    """Runs a command. Reports every problem as one message with an exit code."""
    try:
        environment.isolate()
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ReportedError as error:
        print_error(error)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        console.print("\nInterrupted. What exists is kept; the same command continues from there.")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except CorruptState as error:
        print_error(
            SandboxError(
                f"The state of the stack cannot be read ({error}).",
                "`make up` repairs it, from the engine's backup if there is one",
            )
        )
        sys.exit(1)
    except Exception as error:
        print_error(_defect(error))
        sys.exit(1)


def _defect(error: Exception) -> SandboxError:
    """The report of an unexpected error; its traceback is in a log, or on stderr if no log can be written."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return SandboxError(
            f"{error.filename or paths.home()} cannot be written: {error.strerror}.", "free space on the disk"
        )
    output = traceback.format_exc()
    try:
        log = paths.folder("run") / "crash.log"
        log.write_text(output)
    except (OSError, ReportedError):
        return SandboxError(f"A bug in the sandbox: {type(error).__name__}: {error}", "please report it", output)
    return SandboxError(
        f"A bug in the sandbox: {type(error).__name__}: {error}",
        f"please report it with {log}; `make down FORCE=1` removes everything",
    )
