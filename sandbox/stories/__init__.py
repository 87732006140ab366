"""The stories that `make demo` tells."""

NAMES = ("scale", "teams")
"""Their names, the first one by default."""
