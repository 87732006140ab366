"""What to do about a failed run: whether the same command can fix it, and if so, what has to change first.

The last line of an error must be true. "Correct it and run the same command again" is true for a wrong value and for
most refusals. It is false for throttling, where nothing is wrong, and for conflicts with existing objects, which every
repetition meets again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox import conflicts

AGAIN = "correct it and run the same command again; what exists is kept, and the run continues from there"

_KEPT = "what exists is kept, and the run continues from there"
KILLED = f"nothing is wrong with the config: run the same command again; {_KEPT}"

_TAKEN = (
    "repeating it alone does not help: the object exists already, and is not in the stack's state. If an interrupted "
    "run left it, delete it in `make shell`{below}, or start again with `make down`; if another environment uses "
    "it, choose another name. Then run the same command again"
)

# The first that matches counts; the words are the clouds' own error codes and messages.
_KINDS = (
    # Not a mistake, and over after a while.
    (
        r"Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|RATE_LIMIT_EXCEEDED|rateLimitExceeded|\b429\b",
        f"nothing is wrong: the cloud throttles its API; wait a minute and run the same command again; {_KEPT}",
    ),
    # Not over after a while: there is no route.
    (
        r"unreachable: .*i/o timeout",
        "repeating it here does not help: the cluster's API server cannot be reached from here. Run it where "
        "cluster.privateAccessCidrs or cluster.publicAccessCidrs allow access from (a VPN, a bastion, a runner in "
        f"the network), or add this machine's address to them, and run the same command again; {_KEPT}",
    ),
    (
        r"ServiceUnavailable|InternalError|InternalFailure|InternalServer|backendError|\b50[0234]\b|connection reset"
        r"|Connection reset|timed? ?out|deadline exceeded|does not answer|connection refused|broken pipe|unavailable$"
        r"|Could not connect to the endpoint|\bEOF$",
        f"nothing is wrong with the config: something did not answer; run the same command again; {_KEPT}. An object "
        "that was made without an answer is in its way: the next error names it, with the command that deletes it",
    ),
    # No machine, or none for this account. The config may be right, too.
    (
        r"InsufficientInstanceCapacity|InsufficientCapacity|Insufficient.*Capacity|ZONE_RESOURCE_POOL_EXHAUSTED"
        r"|STOCKOUT|UnfulfillableCapacity|does not have enough resources",
        "the cloud has no capacity for this machine type now: run the same command again later, or give the pool "
        f"another zone, machine type or capacity; {_KEPT}",
    ),
    (
        r"LimitExceeded|QuotaExceeded|QUOTA_EXCEEDED|quotaExceeded|[Qq]uota '|exceeded quota|Maximum.*reached",
        "repeating it alone does not help: raise the account's quota or ask for less; then run the same command again, "
        f"{_KEPT}",
    ),
    # The caller lacks a permission.
    (
        r"AccessDenied|UnauthorizedOperation|PERMISSION_DENIED|Forbidden|\b403\b|ExpiredToken|InvalidClientTokenId",
        "repeating it alone does not help: grant the permission to the account that runs this; then run the same "
        f"command again, {_KEPT}",
    ),
    # The engine speaks of an option in the program; here it is one key of the file.
    (
        r"marked for protection|cannot be deleted because it is protected",
        "repeating it alone does not help: undo the change, or set gpuyard:deletionProtection: false in the file, "
        "bring it up without that change, and then make the change",
    ),
    # An existing object conflicts with what is asked for, and will conflict again.
    (
        r"AlreadyExists|already exists|alreadyExists|\.Duplicate\b|DuplicateResource|cannot re-use a name"
        r"|ALREADY_EXISTS|\b409\b",
        _TAKEN.format(below=""),
    ),
    (
        r"DependencyViolation|ResourceInUse|resourceInUseByAnotherResource|is (already )?being used by|has dependent"
        r"|still (in use|has)|InvalidGroup.InUse|DeleteConflict",
        "repeating it alone does not help: an existing object is in the way. Remove what the message names, or "
        "undo the change in the stack file; then run the same command again",
    ),
)


def fix(detail: str, failed: Iterable[tuple[str, Mapping[str, Any], str]] = (), region: str = "") -> str:
    """The advice for an error with these words; empty when the error has a "fix:" line itself. `failed`: type, inputs
    and error of each resource that was to be made and was not; `region`: of AWS. Below the advice, each on a line of
    its own, the commands that take away what is in the way."""
    if re.search(r"^\s*fix:", detail, re.MULTILINE | re.IGNORECASE):
        return ""
    if commands := conflicts.commands(failed, region):
        return "\n    ".join([f"{_TAKEN.format(below=' as below')}:", *commands])
    return next((words for pattern, words in _KINDS if re.search(pattern, detail, re.MULTILINE)), AGAIN)
