"""The part of gcloud that the advice on lost objects uses, on the store of the sandbox's Google Cloud.

Each command has the flags in gcloud's reference (cloud.google.com/sdk/gcloud/reference, August 2026); other flags are
refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sandbox.gcp.provider import GcpProvider
from sandbox.gcp.store import Store
from sandbox.gcp.table import path_of

CLUSTER = "gcp:container/cluster:Cluster"
ACCOUNT = "gcp:serviceaccount/account:Account"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
NAT = "gcp:compute/routerNat:RouterNat"

# command: flags in addition to the names of objects
COMMANDS = {
    "container clusters delete": ("location",),
    "iam service-accounts delete": (),
    "compute networks subnets list": ("network", "filter", "format"),
    "compute networks subnets delete": ("region",),
    "compute routers nats list": ("router", "region", "format"),
    "compute routers nats delete": ("router", "region"),
}


def main(arguments: Sequence[str]) -> int:
    command = next(name for name in COMMANDS if list(arguments[: len(name.split())]) == name.split())
    parser = argparse.ArgumentParser(prog=f"gcloud {command}", allow_abbrev=False)
    parser.add_argument("names", nargs="*")
    for flag in (*COMMANDS[command], "project"):
        parser.add_argument(f"--{flag}", required=True)
    if command.endswith("delete"):
        parser.add_argument("--quiet", action="store_true", required=True)  # there is no terminal for a prompt
    given = parser.parse_args(arguments[len(command.split()) :])
    if command.endswith("list"):
        assert given.format == "value(name)"
        print("\n".join(_listed(command, given)))
        return 0
    assert given.names
    for name in given.names:
        _delete(command, given, name)
    return 0


def _listed(command: str, given: argparse.Namespace) -> list[str]:
    store, project = Store(), f"projects/{given.project}"
    if "nats" in command:
        return [nat["name"] for nat in store.get("compute.routers", _router(given)).get("nats", [])]
    key, _, value = given.filter.partition("=")
    return [
        name.rsplit("/", 1)[-1]
        for _, name, body in store.select("compute.subnetworks", under=project)
        if path_of(body["network"]).rsplit("/", 1)[-1] == given.network and body[key] == value
    ]


def _router(given: argparse.Namespace) -> str:
    return f"projects/{given.project}/regions/{given.region}/routers/{given.router}"


def _delete(command: str, given: argparse.Namespace, name: str) -> None:
    project = given.project
    token, id = {
        "container": (CLUSTER, f"projects/{project}/locations/{getattr(given, 'location', '')}/clusters/{name}"),
        "iam": (ACCOUNT, f"projects/{project}/serviceAccounts/{name}"),
        "compute networks": (
            SUBNETWORK,
            f"projects/{project}/regions/{getattr(given, 'region', '')}/subnetworks/{name}",
        ),
        "compute routers": (
            NAT,
            f"{project}/{getattr(given, 'region', '')}/{getattr(given, 'router', '')}/{name}",
        ),
    }[next(start for start in ("container", "iam", "compute networks", "compute routers") if command.startswith(start))]
    provider = GcpProvider()
    provider.configure({"project": project})
    urn = f"urn:pulumi:gcloud::gcloud::{token}::{name}"
    found = provider.read(token, urn, id, {}, {})
    if found is None:
        raise SystemExit(f"ERROR: (gcloud.{command.replace(' ', '.')}) {id} was not found")
    provider.delete(token, urn, id, {}, found[2], 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
