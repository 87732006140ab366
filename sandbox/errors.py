"""The error that the sandbox reports to the user."""

from __future__ import annotations

from tools.errors import ReportedError, ToolError

__all__ = ["ReportedError", "SandboxError", "ToolError"]


class SandboxError(ReportedError):
    """A problem in the sandbox, and its fix. Handlers catch ReportedError, which includes the errors of the tools that
    the sandbox provides."""
