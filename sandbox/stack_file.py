"""Reads `Pulumi.STACK.yaml` as strictly as the engine, so that its errors are reported here, with the line."""

from __future__ import annotations

import errno
import math
import stat
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from sandbox.errors import SandboxError


class _Strict(yaml.SafeLoader):
    """Refuses a key that is in a map twice, as Pulumi does; PyYAML would use the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                continue
            if (key.tag, key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is in one map twice", key.start_mark
                )
            seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def read(file: Path, known: Callable[[], str]) -> dict[str, Any]:
    """The values under `config:` by full key, for example `gpuyard:cloud`.

    Args: known: text that lists the existing stacks, for the error about a missing file. Raises SandboxError for a file
    that is missing, cannot be read, or is not accepted by the engine.
    """
    try:
        found = yaml.load(_bytes(file).decode("utf-8-sig"), _Strict) or {}
    except FileNotFoundError:
        name = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
        raise SandboxError(f"There is no stack {name!r}: {file.name} is missing.", known()) from None
    except OSError as error:
        raise SandboxError(f"{file.name} cannot be read: {error.strerror}.", f"make {file.name} a file") from None
    except UnicodeDecodeError as error:
        raise _broken(file, f"byte {error.start + 1} is not UTF-8", "save it as UTF-8") from None
    except yaml.reader.ReaderError as error:
        what = f"character {error.position + 1} ({error.character!r}) is not allowed in it"
        raise _broken(file, what, "save it as UTF-8, without control characters") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise _broken(file, getattr(error, "problem", None) or str(error), "", line) from None
    except (RecursionError, ValueError, OverflowError) as error:
        raise _broken(file, "it is nested too deep" if isinstance(error, RecursionError) else str(error)) from None
    config = found.get("config") or {} if isinstance(found, dict) else None
    if not isinstance(config, dict):
        raise _broken(file, "it must be a map with the key `config:`")
    for path, problem in _unfit(config, "config", ()):
        raise SandboxError(f"{file.name}: {path} {problem}.", f"correct {file.name}")
    return config


def text(file: Path) -> str:
    """The file's content, as far as it can be read; empty if it cannot."""
    try:
        return _bytes(file).decode("utf-8", "replace")
    except OSError:
        return ""


def _bytes(file: Path) -> bytes:
    """The content of a file. Raises OSError for a pipe or a device, since reading one may never end."""
    if not stat.S_ISREG((status := file.stat()).st_mode) and not stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EINVAL, "It is not a regular file", str(file))
    return file.read_bytes()


def _broken(file: Path, reason: str, fix: str = "", line: str = "") -> SandboxError:
    return SandboxError(f"{file.name}{line} cannot be read as YAML: {reason}.", fix or f"correct {file.name}")


def _unfit(value: Any, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    """The problem of a value that YAML allows and Pulumi's config does not."""
    if id(value) in above:
        yield path, "refers to itself"
    elif isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                yield path, f"has the key {key!r}, which is not text (put it in quotes)"
            yield from _unfit(each, f"{path}.{key}", (*above, id(value)))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unfit(each, f"{path}[{index}]", (*above, id(value)))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"is {value}, which is not a number that Pulumi can hold"
    elif isinstance(value, (bytes, set)):
        yield path, f"is a YAML {type(value).__name__}, which Pulumi cannot hold"
