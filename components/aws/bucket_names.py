"""Names of S3 buckets, as people write them into arguments."""

import re
from collections.abc import Iterator

from .. import volumes
from ..checks import Problem

# S3, "General purpose bucket naming rules"; directory buckets (--x-s3) and access points need other permissions.
_BUCKET = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]")
_RESERVED = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def problems(path: str, name: str) -> Iterator[Problem]:
    """`name` is a valid name for a general purpose bucket."""
    wrong = ""
    if not _BUCKET.fullmatch(name):
        wrong = "not a valid bucket name"
    elif volumes.like_an_address(name):
        wrong = "like an IP address, which S3 does not accept as the name of a bucket"
    elif name.startswith(_RESERVED) or name.endswith(_RESERVED_ENDS):
        wrong = "like an alias, a directory bucket or another name that S3 reserves, by its beginning or end"
    if wrong:
        yield Problem(
            path, name, wrong,
            "3 to 63 lower-case letters, digits, '-' and '.', first and last a letter or digit, no two dots in a row",
            "write the bucket's name as `aws s3 ls` shows it, without s3:// and without a path",
        )  # fmt: skip
