"""Amounts as the API server writes them: another spelling would be a difference in every refresh."""


def decimal(thousandths: int) -> str:
    """A number: 500m, 64, 8k. `thousandths`: of one, such as millicores."""
    return _whole(thousandths, 1000, ("m", "", "k", "M"))


def binary(mib: int) -> str:
    """A size: 512Mi, 2Gi, 1Ti. `mib`: MiB."""
    return _whole(mib, 1024, ("Mi", "Gi", "Ti", "Pi"))


def _whole(amount: int, step: int, units: tuple[str, ...]) -> str:
    """The amount in the largest unit in which it is a whole number."""
    if amount == 0:
        return "0"
    index = 0
    while amount % step == 0 and index + 1 < len(units):
        amount, index = amount // step, index + 1
    return f"{amount}{units[index]}"
