"""Teams under the recorder."""

from __future__ import annotations

from typing import Any

import pulumi

from components import arguments
from components.sharing import team as teams
from components.sharing.team import Team, TeamArgs
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import aws_options


def team(name: str = "training", **args: Any) -> Recording:
    """A recorded Team, called and named `name`; its outputs are exported."""

    def program() -> None:
        made = Team(name, {"team": name, **args}, aws_options())  # type: ignore[typeddict-item]
        for key in ("namespace", "service_account", "queue"):
            pulumi.export(key, getattr(made, key))

    return run(program)


def wrong(name: str = "training", **args: Any) -> dict[str, str]:
    """The problems of a Team's arguments: path → its whole text."""
    given = arguments.cleaned(TeamArgs, {"team": name, **args})
    return {problem.path: str(problem) for problem in teams.problems(given)}
