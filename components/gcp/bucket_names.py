"""Names of Cloud Storage buckets, as people write them into arguments."""

import re
from collections.abc import Iterator

from .. import volumes
from ..checks import Problem

# Cloud Storage, "Bucket naming guidelines"; with dots up to 222 characters.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]")


def problems(path: str, name: str) -> Iterator[Problem]:
    """`name` is a valid name for a bucket."""
    wrong = ""
    if not _BUCKET.fullmatch(name) or not all(0 < len(part) <= 63 for part in name.split(".")):
        wrong = "not a valid bucket name"
    elif volumes.like_an_address(name):
        wrong = "formed like an IP address, which Cloud Storage does not allow"
    elif name.startswith("goog") or "google" in name:
        wrong = "contains a word that Cloud Storage reserves for Google"
    if wrong:
        yield Problem(
            path, name, wrong,
            "3 to 63 lower-case letters, digits, '-', '_' and '.', first and last a letter or digit",
            "write the bucket's name as `gcloud storage ls` shows it, without gs:// and without a path",
        )  # fmt: skip
