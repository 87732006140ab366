"""The package's schema, from which Pulumi makes the SDKs of other languages. `schema.json` is the repository's copy."""

import json
from pathlib import Path

from . import provider

FILE = Path(__file__).resolve().parent / "schema.json"


def text() -> str:
    """The schema as JSON, sorted, so that a change of the library is a readable difference."""
    schema = json.loads(provider.LibraryProvider().schema)
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write() -> None:
    """Writes the schema into the repository."""
    FILE.write_text(text())
