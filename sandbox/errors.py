"""The error that the sandbox reports to a person."""

from __future__ import annotations

from tools.errors import ReportedError, ToolError

__all__ = ["ReportedError", "SandboxError", "ToolError"]


class SandboxError(ReportedError):
    """What went wrong in the sandbox, and what to do about it. Handlers catch ReportedError, and with it the errors of
    the tools that the sandbox provides."""
