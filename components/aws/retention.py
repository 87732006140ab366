"""How long CloudWatch keeps a log: the numbers of days that it takes."""

from collections.abc import Iterator

from ..checks import Problem

# CloudWatch's PutRetentionPolicy takes no other number of days.
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


def problems(path: str, days: int, *, off: bool) -> Iterator[Problem]:
    """What is wrong with a number of days. `off`: 0 stands for no log at all, and not for a log without an end."""
    if days in LOG_DAYS or (off and days == 0):
        return
    longer = next((each for each in LOG_DAYS if each >= days > 0), LOG_DAYS[-1] if days > 0 else 90)
    allowed = ", ".join(map(str, LOG_DAYS))
    yield Problem(
        path, days, "would keep the log for ever" if days == 0 else "no retention that CloudWatch has",
        f"0 or {allowed}" if off else allowed, "write 0 for no log" if off and days < 0 else f"write {longer}",
    )  # fmt: skip
