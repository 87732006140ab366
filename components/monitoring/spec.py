"""S."""

from typing import TypedDict

from typing_extensions import NotRequired


class AddonsSpec(TypedDict):
    """A."""

    alerts: NotRequired[bool]
    """Default: `true`."""
    cleanup: NotRequired[bool]
    """Default: `true`."""
