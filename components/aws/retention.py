"""How long CloudWatch keeps a log: the numbers of days that it accepts."""

from collections.abc import Iterator

from ..checks import Problem

# CloudWatch's PutRetentionPolicy accepts no other number of days.
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


def problems(path: str, days: int, *, off: bool) -> Iterator[Problem]:
    """What is wrong with a number of days. `off`: whether 0 is allowed and means that there is no log. CloudWatch
    itself would keep such a log forever."""
    if days in LOG_DAYS or (off and days == 0):
        return
    longer = next((each for each in LOG_DAYS if each >= days > 0), LOG_DAYS[-1] if days > 0 else 90)
    allowed = ", ".join(map(str, LOG_DAYS))
    yield Problem(
        path, days, "would keep the log forever" if days == 0 else "not a retention that CloudWatch offers",
        f"0 or {allowed}" if off else allowed, "write 0 for no log" if off and days < 0 else f"write {longer}",
    )  # fmt: skip
