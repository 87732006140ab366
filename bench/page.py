"""The page with the figures: its tables stand between markers, and a command writes each."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from sandbox.errors import ReportedError

PAGE = Path(__file__).parent / "README.md"

console = Console(stderr=True, highlight=False)

print_option = click.option(
    "--print", "only_print", is_flag=True, help="Print the table instead of writing it into the page."
)


def shown(value: float, unit: str) -> str:
    """A figure as text: whole MiB, tenths of seconds."""
    return f"{value:,.0f} {unit}" if unit == "MiB" else f"{value:.1f} {unit}"


def machine() -> str:
    """Where and when the figures are measured."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"


def publish(name: str, made: Callable[[], str], only_print: bool) -> None:
    """Makes a table, and prints it or puts it between the page's markers of that name. Raises click's exception for an
    error of the sandbox."""
    try:
        text = made()
    except ReportedError as error:
        raise click.ClickException(str(error)) from None
    if only_print:
        click.echo(text)
        return
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- {name}: end -->"
    PAGE.write_text(re.sub(f"{begin}.*{end}", lambda _: f"{begin}{text}\n{end}", page, flags=re.DOTALL))
    console.print(f"{PAGE} is written")
