"""Docstrings under fields, which have the defaults of arguments, come from the source."""

from __future__ import annotations

import importlib.util
import py_compile
import sys
from pathlib import Path

import pulumi
import pytest

from components import docstrings

SOURCE = '''
from typing import TypedDict

class Args(TypedDict):
    """Arguments."""
    size: int
    """How many. Default: `3`."""
'''


def load(path: Path) -> type:
    """`Args` of the module in this file, which is compiled or not."""
    spec = importlib.util.spec_from_file_location("made_for_a_test", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Args


def test_without_the_source_there_is_one_clear_error(tmp_path: Path) -> None:
    source, compiled = tmp_path / "made.py", tmp_path / "made.pyc"
    source.write_text(SOURCE)
    assert docstrings.of_field(load(source), "size") == "How many. Default: `3`."
    py_compile.compile(str(source), str(compiled), doraise=True)
    source.unlink()
    with pytest.raises(pulumi.RunError, match=r"made_for_a_test: its source is missing(.|\n)*with its \.py files"):
        docstrings.of_field(load(compiled), "size")


def test_a_module_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every constructor reads docstrings; to parse the module again for each class would take long."""
    from components.aws import pool_spec

    parsed: list[str] = []
    parse = docstrings.ast.parse
    monkeypatch.setattr(
        docstrings.ast, "parse", lambda text, *more, **others: parsed.append(text) or parse(text, *more, **others)
    )
    docstrings._classes.cache_clear()
    for field in ("image", "release", "machine_types", "min"):
        assert docstrings.of_field(pool_spec.EksNodePoolSpec, field)
    assert len(parsed) == 2, "its own module and that of its base"
