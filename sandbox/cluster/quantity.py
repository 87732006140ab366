"""Kubernetes quantities as exact numbers: cpu in cores, memory and storage in bytes, counts as they are."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_SUFFIXES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": Fraction(1)}
_SUFFIXES |= {suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", start=1)}
_SUFFIXES |= {f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)}
_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> Fraction:
    """The number. Raises ValueError for what Kubernetes would refuse."""
    match = _PATTERN.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a Kubernetes quantity")
    number, exponent, suffix = match.groups()
    return Fraction(number + (exponent or "")) * _SUFFIXES[suffix or ""]


def parse_all(resources: Mapping[str, Any] | None) -> dict[str, Fraction]:
    """A resource list, such as a container's requests."""
    return {name: parse(str(value)) for name, value in (resources or {}).items()}
