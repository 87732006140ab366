"""The one exception that a person sees: what went wrong, and what to do about it."""


class SandboxError(Exception):
    """An error that is printed as two short paragraphs and never as a traceback.

    Args:
        problem: one sentence: the thing, its value and what is wrong with it.
        fix: one sentence that a person can act on (a command where there is one).
        detail: text worth showing under it, for example the end of a log.
    """

    def __init__(self, problem: str, fix: str = "", detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.detail = detail

    def __str__(self) -> str:
        return "\n".join(part for part in (self.problem, self.detail, self.fix and f"Fix: {self.fix}") if part)
