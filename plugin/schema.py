"""The package's schema, from which Pulumi generates the SDKs of other languages. `schema.json` is the repository's
copy."""

import json
from pathlib import Path
from typing import Any

from . import library, provider

FILE = Path(__file__).resolve().parent / "schema.json"


def text(schema: dict[str, Any]) -> str:
    """The text of the schema in the repository: sorted, so that a change of the library is a readable difference."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write() -> None:
    """Writes the schema into the repository."""
    FILE.write_text(text(provider.LibraryProvider(library.offered()).package))
