"""Checks that both clouds share."""

from __future__ import annotations

import pytest

from components import checks, naming


@pytest.mark.parametrize(
    ("network", "public"),
    [
        # All addresses, private ones included. Python 3.10's ipaddress calls this range private.
        ("0.0.0.0/0", True),
        ("8.8.8.0/24", True),
        ("10.0.0.0/7", True),
        ("10.0.0.0/8", False),
        ("10.20.0.0/16", False),
        ("100.64.0.0/10", False),
        ("172.31.0.0/16", False),
        ("172.32.0.0/16", True),
        ("192.168.0.0/16", False),
        ("203.0.113.5/32", False),
        ("240.0.0.0/4", False),
    ],
)
def test_a_network_is_public_if_it_includes_internet_addresses(network: str, public: bool) -> None:
    assert checks.public(network) is public


@pytest.mark.parametrize(
    ("project", "known"),
    [
        ("my-project", True),
        ("example.com:my-project", True),
        ("123456789012", False),
        ("My Project", False),
        ("short", False),
        ("ends-with-", False),
        ("a" * 31, False),
    ],
)
def test_a_google_project_id_is_checked(project: str, known: bool) -> None:
    assert bool(naming.GOOGLE_PROJECT.fullmatch(project)) is known
