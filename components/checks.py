"""Checks of plain values, for the arguments of components and for the stack's config.

A check yields `Problem`s instead of raising, so that the user sees every mistake at once. `refuse` raises them as one
error, which Pulumi prints without a traceback.
"""

import contextlib
import enum
import ipaddress
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pulumi

_SHOWN = 200
"""Characters of a wrong value that a message shows."""
_LONGEST = 2000
"""Characters of a path or a sentence that a message shows."""


class Keys(enum.Enum):
    """Whose keys a field contains, if its value is a map."""

    DECLARED = "declared"
    """Declared fields only."""
    NAMES = "names"
    """Names that the caller chooses, each with a map of declared fields: node pools by name."""
    FREE = "free"
    """The caller's own, at every depth: labels."""


# Name of a field in Python → the caller's spelling; each field in both spellings → whose keys it contains.
_spellings: dict[str, str] = {}
_keys: dict[str, Keys] = {}


def spell(names: Mapping[str, Keys], spelling: Callable[[str], str]) -> None:
    """Sets how later errors spell these field names. Without a call, errors have the names in Python.

    Args:
        names: names of arguments, as `arguments.names` has them.
        spelling: from snake_case to the caller's spelling, such as `to_camel` for a stack's file.
    """
    _spellings.clear()
    _keys.clear()
    for name, keys in names.items():
        _spellings[name] = spelling(name)
        _keys[name] = _keys[spelling(name)] = keys


def _spelled_path(path: str) -> str:
    """The path with its declared names in the caller's spelling. Keys that the caller chose stay as they are, even if
    one is named like a field."""
    spelled, keys = [], Keys.DECLARED
    for part in re.split(r"([.:\[\]]+)", path):
        if keys is Keys.DECLARED:
            spelled.append(_spellings.get(part, part))
            keys = _keys.get(part, keys)
        else:
            spelled.append(part)
            # After a separator comes the name that the caller chose.
            keys = Keys.DECLARED if keys is Keys.NAMES and not re.match(r"[.:\[\]]", part) else keys
    return "".join(spelled)


def spelled_text(text: str) -> str:
    """A text with the names of fields in the caller's spelling. Names of fields are in backticks: alone, or before the
    colons of a snippet; values never are."""

    def spelled(code: re.Match[str]) -> str:
        if re.fullmatch(r"[\w.]+", code[1]):
            return f"`{_spelled_path(code[1])}`"
        return f"`{re.sub(r'[^ `{}:]+(?=:)', lambda key: _spelled_path(key[0]), code[1])}`"

    return re.sub(r"`([^`]*)`", spelled, text)


@dataclass(frozen=True)
class Problem:
    """One wrong value: its dotted `path`, the value, what is wrong, what is allowed, the fix.

    Names of fields are in snake_case, and in backticks in the texts. The error shows them in the caller's spelling (see
    `spell`).
    """

    path: str
    value: Any
    wrong: str
    allowed: str
    fix: str
    unknown: str = ""
    """The key that the path ends with, if it is not declared: it is never respelled."""

    def under(self, prefix: str) -> "Problem":
        """The same problem with `prefix` before its path, for example `nodePools.gpu` + `max`."""
        return replace(self, path=f"{prefix}.{self.path}" if self.path else prefix)

    def __str__(self) -> str:
        declared = self.path.removesuffix(self.unknown)
        path = _on_one_line(_spelled_path(declared) + self.path[len(declared) :])
        wrong, allowed, fix = (_on_one_line(spelled_text(each)) for each in (self.wrong, self.allowed, self.fix))
        return f"{path} = {shown(self.value)}: {wrong}\n    allowed: {allowed}\n    fix: {fix}"


def shown(value: Any) -> str:
    """A value as a message shows it: shortened, and by its type if it cannot be shown."""
    try:
        return _shortened(repr(value), _SHOWN)
    except Exception:  # a class of the caller's may have any repr
        return f"a {type(value).__name__}"


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def spelled(warning: str) -> str:
    """A warning, "path: text", with the names of fields in the caller's spelling."""
    path, colon, text = warning.partition(": ")
    return f"{_spelled_path(path)}{colon}{spelled_text(text)}"


def _on_one_line(text: str) -> str:
    """The text, shortened and with line breaks and control characters escaped: names from the user's file may be long
    and contain any."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in _shortened(text, _LONGEST))


def refuse(problems: Iterable[Problem], subject: str, consequence: str = "") -> None:
    """Raises one `pulumi.RunError` that lists every problem of `subject`, if there are any.

    Args:
        problems: the problems, in the order of the message.
        subject: what the message names first, such as `EksNodePool gpu`.
        consequence: what follows for the user's resources, such as "nothing was changed". Default: none is named.
    """
    found = list(problems)
    if found:
        count = "one value" if len(found) == 1 else f"{len(found)} values"
        first = f"{subject}: {count} cannot work{f'; {consequence}' if consequence else ''}."
        raise pulumi.RunError("\n".join([first, *(f"  {problem}" for problem in found)]))


def cidr(path: str, value: str, shortest: int = 0, longest: int = 32) -> Iterator[Problem]:
    """`value` is an IPv4 network in CIDR notation whose prefix is between `shortest` and `longest` bits."""
    allowed = f"an IPv4 network such as 10.0.0.0/16, prefix /{shortest} to /{longest}"
    # Python accepts a mask and a missing prefix; the clouds accept neither.
    _, slash, prefix = str(value).partition("/")
    if not slash or not re.fullmatch("0|[1-9][0-9]*", prefix):
        fix = "write the network's first address, a '/' and the prefix length"
        with contextlib.suppress(ValueError):
            fix = f"write {ipaddress.IPv4Network(value, strict=False)}"
        yield Problem(path, value, "not a network in CIDR notation", allowed, fix)
        return
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        reason = str(error)
        fix = "write the network's first address and its prefix length"
        if "has host bits set" in reason:
            fix = f"write {ipaddress.IPv4Network(value, strict=False)}"
        yield Problem(path, value, f"not an IPv4 network ({reason})", allowed, fix)
        return
    if not shortest <= network.prefixlen <= longest:
        yield Problem(
            path, value, f"/{network.prefixlen} is outside /{shortest} to /{longest}", allowed,
            f"choose a prefix from /{shortest} to /{longest}",
        )  # fmt: skip


# IANA's special-purpose registry, and RFC 1918. Python's `is_global` differs between versions: in 3.10 it is false for
# 0.0.0.0/0.
_NOT_PUBLIC = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",
        "240.0.0.0/4",
    )
]  # fmt: skip


def whole_internet(networks: Iterable[str]) -> bool:
    """Whether the networks (CIDRs) together have half of all IPv4 addresses or more, which is rarely intended."""
    distinct = ipaddress.collapse_addresses(ipaddress.IPv4Network(network) for network in networks)
    return sum(network.num_addresses for network in distinct) >= 2**31


def public(network: str) -> bool:
    """Whether `network`, a CIDR, contains public addresses."""
    return not any(ipaddress.IPv4Network(network).subnet_of(other) for other in _NOT_PUBLIC)


def repeated(values: Iterable[Hashable]) -> set[int]:
    """The index of each value that is earlier in the list as well."""
    first: dict[Hashable, int] = {}
    return {index for index, value in enumerate(values) if first.setdefault(value, index) != index}


def listed(path: str, values: list[str], most: int) -> Iterator[Problem]:
    """`values` has at most `most` items, each once."""
    for index in sorted(repeated(values)):
        yield Problem(f"{path}[{index}]", values[index], "named twice", "each once", "remove one of them")
    if len(values) > most:
        yield Problem(
            path, f"{len(values)} values", "more than the cloud accepts", f"up to {most}", "merge adjacent networks"
        )


def disjoint(networks: Mapping[str, str]) -> Iterator[Problem]:
    """No two of the networks (path → CIDR) overlap. Invalid CIDRs are skipped: `cidr` reports them."""
    valid: list[tuple[ipaddress.IPv4Network, int, str]] = []
    for index, (path, value) in enumerate(networks.items()):
        with contextlib.suppress(ValueError):
            valid.append((ipaddress.IPv4Network(value), index, path))
    # Of two networks that overlap, one contains the other: sorted, it comes first and is still open at its address.
    found, around = [], []
    for each in sorted(valid):
        while around and around[-1][0].broadcast_address < each[0].network_address:
            around.pop()
        if around:
            found.append(sorted((around[-1], each), key=lambda one: one[1]))
        around.append(each)
    for (earlier, _, other), (_network, _, path) in sorted(found, key=lambda pair: pair[1][1]):
        yield Problem(
            path,
            networks[path],
            f"overlaps {other} = {earlier}",
            "networks that share no address",
            "change one of them",
        )


# Kubernetes: optional DNS prefix, then a name of up to 63 characters (apimachinery's qualified names).
_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_PART = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_KEY = re.compile(rf"((?=[^/]{{1,253}}/){_PART}(\.{_PART})*/)?{_NAME}")
_VALUE = re.compile(rf"({_NAME})?")


def label(path: str, key: str, value: Any) -> Iterator[Problem]:
    """`key` and `value` are a valid Kubernetes label. The same rule applies to taints."""
    if not _KEY.fullmatch(key):
        yield Problem(
            f"{path}.{key}", value, "not a valid Kubernetes label key",
            "letters, digits, '-', '_', '.', up to 63 characters, with an optional lower-case DNS prefix and '/'",
            "rename the key",
        )  # fmt: skip
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        yield Problem(
            f"{path}.{key}", value, "not a valid Kubernetes label value",
            "a string of up to 63 letters, digits, '-', '_', '.'",
            f'quote it: {key}: "{str(value).lower()}"' if isinstance(value, (bool, int)) else "shorten or rename it",
        )  # fmt: skip


OBJECT_NAME_LIMIT = 253
OBJECT_NAME = re.compile(rf"(?=.{{1,{OBJECT_NAME_LIMIT}}}\Z){_PART}(\.{_PART})*")
"""Names of most objects, such as service accounts and claims (Kubernetes, "Object Names and IDs", DNS subdomains)."""

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def namespace(path: str, value: str) -> Iterator[Problem]:
    """`value` is empty, or the name of a Kubernetes namespace."""
    if value and not _NAMESPACE.fullmatch(value):
        yield Problem(
            path, value, "not a valid Kubernetes namespace name", "up to 63 lower-case letters, digits and '-'",
            "see `kubectl get namespaces`",
        )  # fmt: skip


def minor_version(path: str, value: str) -> Iterator[Problem]:
    """`value` is a Kubernetes minor version."""
    if not re.fullmatch(r"1\.\d{1,2}", value, re.ASCII):
        yield Problem(
            path, value, "not a Kubernetes minor version", "1.MINOR, such as 1.35", "write it without a patch"
        )


def one_of(path: str, value: str, allowed: Iterable[str]) -> Iterator[Problem]:
    """`value` is one of `allowed`."""
    options = list(allowed)
    if value not in options:
        # An option that differs only in case or separators is almost certainly the intended one.
        meant = [o for o in options if re.sub("[-_ ]", "", o).lower() == re.sub("[-_ ]", "", str(value)).lower()]
        yield Problem(
            path, value, "unknown value", ", ".join(options), f"write {meant[0] if meant else ' or '.join(options)}"
        )


def last_line(error: Exception) -> str:
    """The last line of the error of a failed invoke: the cloud's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
