"""The plugin that the engine starts, and the command that writes the schema: `python -m plugin --schema`."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The engine starts this folder by its path, from the folder of the caller's program.
sys.path.insert(0, str(ROOT))

from plugin import schema, server  # noqa: E402


def main(arguments: list[str]) -> None:
    """Writes the schema if `--schema` is given; otherwise serves the components until the engine ends the process."""
    if arguments == ["--schema"]:
        schema.write()
    else:
        server.serve(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
