"""The stories that `make demo` tells."""

NAMES = ("scale", "teams", "roll")
"""Their names, the first one by default."""
