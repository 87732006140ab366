"""Differences between two values of a property, as pulumi-aws counts them."""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws.table import Row
from sandbox.plugins.provider import UNKNOWN
from sandbox.plugins.values import join, parts


def has_unknown(value: Any) -> bool:
    if value is UNKNOWN:
        return True
    if isinstance(value, dict):
        return any(map(has_unknown, value.values()))
    return isinstance(value, list) and any(map(has_unknown, value))


def _canonical(row: Row, key: str, value: Any) -> Any:
    """The value in a normal form, in which equivalent values are equal: no empty members, sets sorted, JSON parsed."""
    if key in row.json and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if isinstance(value, dict):
        found = {name: _canonical(row, name, each) for name, each in value.items()}
        return {name: each for name, each in found.items() if each not in (None, [], {}, "")}
    if isinstance(value, list):
        items = [_canonical(row, "", each) for each in value]
        return (
            items
            if key in row.ordered
            else sorted(items, key=lambda each: json.dumps(each, sort_keys=True, default=str))
        )
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def is_same(row: Row, key: str, old: Any, new: Any) -> bool:
    empty = (None, [], {}, "")
    old, new = _canonical(row, key, old), _canonical(row, key, new)
    return old == new or (old in empty and new in empty)


def differences(row: Row, key: str, old: Any, new: Any) -> list[str]:
    """Paths below `key` that differ; at most one level into objects, as deep as the paths in the tables."""
    if has_unknown(new):
        if isinstance(new, dict) and isinstance(old, dict):
            names = sorted({*old, *new})
            return [join(key, name) for name in names if differences(row, name, old.get(name), new.get(name))]
        return [key]
    if is_same(row, key, old, new):
        return []
    if isinstance(old, dict) and isinstance(new, dict) and key not in row.json:
        names = sorted({*old, *new})
        return [join(key, name) for name in names if not is_same(row, name, old.get(name), new.get(name))]
    return [key]


def lower(new: Any, old: Any) -> bool:
    numbers = (int, float)
    return isinstance(new, numbers) and isinstance(old, numbers) and new < old


def top(path: str) -> str:
    return str(parts(path)[0])


def covers(row: Row, key: str, wanted: Any, found: Any) -> bool:
    """Whether AWS's value matches the program's, ignoring everything that the program does not set."""
    if isinstance(wanted, dict) and isinstance(found, dict) and key not in row.json:
        exact = key in ("labels", "tags")
        return all(covers(row, name, each, found.get(name)) for name, each in wanted.items() if each is not None) and (
            not exact or set(wanted) == set(found)
        )
    if isinstance(wanted, list) and isinstance(found, list):
        wanted, found = _canonical(row, key, wanted), _canonical(row, key, found)
        return len(wanted) == len(found) and all(covers(row, "", a, b) for a, b in zip(wanted, found, strict=True))
    if isinstance(wanted, bool) != isinstance(found, bool) and isinstance(wanted, (str, bool)):
        return str(wanted).lower() == str(found).lower()
    if isinstance(wanted, (int, float)) != isinstance(found, (int, float)):
        return str(wanted) == str(found) or (wanted in (None, "") and found in (None, ""))
    return is_same(row, key, wanted, found)
