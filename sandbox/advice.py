"""What to do about a failed run: whether the same command can fix it, and if so, what has to change first.

The advice must fit the error. "Correct it and run the same command again" fits a wrong value and most refusals. It does
not fit throttling, where nothing is wrong, or a conflict with an existing object, which would occur again.
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

# The first match counts. The patterns are error codes and messages of the clouds.
_KINDS = (
    # Not an error of the user, and temporary.
    (
        r"Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|RATE_LIMIT_EXCEEDED|rateLimitExceeded|\b429\b",
        f"nothing is wrong: the cloud throttles its API; wait a minute and run the same command again; {_KEPT}",
    ),
    # Permanent: there is no route.
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
        f"nothing is wrong with the config: something did not answer; run the same command again; {_KEPT}. If an "
        "object was created but its answer was lost, the next error names it, with the command that deletes it",
    ),
    # No capacity, or none for this account. The config may be right.
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
    # The engine's message names an option of the program; the user sets a key of the file.
    (
        r"marked for protection|cannot be deleted because it is protected",
        "repeating it alone does not help: undo the change, or set gpuyard:deletionProtection: false in the file, "
        "bring it up without that change, and then make the change",
    ),
    # An existing object conflicts with the request, and will conflict again.
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
    """The advice for an error with this text; empty if the error itself has a "fix:" line. `failed`: type, inputs and
    error of each resource that could not be created; `region`: of AWS. Below the advice, one per line: the commands
    that delete the objects that block a creation."""
    if re.search(r"^\s*fix:", detail, re.MULTILINE | re.IGNORECASE):
        return ""
    if commands := conflicts.commands(failed, region):
        return "\n    ".join([f"{_TAKEN.format(below=' as below')}:", *commands])
    return next((words for pattern, words in _KINDS if re.search(pattern, detail, re.MULTILINE)), AGAIN)
