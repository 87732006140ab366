"""Errors for the user: what went wrong, and how to fix it."""

from __future__ import annotations


class ReportedError(Exception):
    """An error that is printed as two short paragraphs and never as a traceback.

    Args:
        problem: one sentence: the object, its value and what is wrong with it.
        fix: one sentence that the user can act on (with a command if possible).
        detail: further text to show below, for example the end of a log.
    """

    def __init__(self, problem: str, fix: str = "", detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.detail = detail

    def __str__(self) -> str:
        return "\n".join(part for part in (self.problem, self.detail, self.fix and f"Fix: {self.fix}") if part)


class ToolError(ReportedError):
    """A program cannot be provided."""
