"""Where Helm charts come from: their own repositories or one mirror of all of them, and which digests they have."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import versions
from ..checks import Problem
from ..versions import Chart

_ADDRESS = re.compile(r"(https|oci)://[A-Za-z0-9.-]+(:[1-9]\d{0,4})?(/[A-Za-z0-9._~%/+-]*)?", re.ASCII)


class ChartsArgs(TypedDict):
    """Where Helm charts come from, and the digests of their packages."""

    mirror: NotRequired[str]
    """Source of all charts, used in place of each chart's own repository, for networks without internet: a folder with
    NAME/Chart.yaml or NAME-VERSION.tgz in it, an https:// chart repository, or an oci:// address under which each chart
    has its name. Default: each chart's own repository."""
    digests: NotRequired[dict[str, str]]
    """Chart name → `sha256:` and the 64 hexadecimal digits of its package. The package in a folder is compared with it
    before anything is created; from an oci:// address, where it is the digest in the registry, Helm accepts no other
    package (helm/helm#12690). Packages of an https:// repository are compared for charts that the program renders;
    Helm does not compare those of its releases. Default: none, a chart is taken by its version."""


def source(chart: Chart, charts: ChartsArgs) -> dict[str, Any]:
    """Where a chart comes from, as arguments of a Helm release."""
    mirror, digest = charts.get("mirror", ""), charts.get("digests", {}).get(chart.name, "")
    pin = f"@{digest}" if digest else ""
    if not mirror:
        if chart.repository.startswith("oci://"):
            return {"chart": f"{chart.repository}{pin}", "version": chart.version}
        return _of_repository(chart, chart.repository)
    if mirror.startswith("oci://"):
        return {"chart": f"{mirror.rstrip('/')}/{chart.name}{pin}", "version": chart.version}
    if "://" in mirror:
        return _of_repository(chart, mirror)
    packed = Path(mirror) / f"{chart.name}-{chart.version}.tgz"
    return {"chart": str(packed if packed.exists() else Path(mirror) / chart.name)}


def _of_repository(chart: Chart, address: str) -> dict[str, Any]:
    return {
        "chart": chart.name,
        "version": chart.version,
        "repository_opts": k8s.helm.v3.RepositoryOptsArgs(repo=address),
    }


def problems(
    charts: ChartsArgs, installed: Sequence[Chart], known: Sequence[Chart] = versions.CHARTS
) -> Iterator[Problem]:
    """Everything that is wrong with the arguments; Whether an address answers is not checked; Helm reports it.

    Args:
        charts: the arguments.
        installed: charts that are installed from there.
        known: charts that `digests` may name; those that are not installed are not compared.
    """
    mirror = charts.get("mirror", "")
    if "://" in mirror and not mirror.startswith(("https://", "oci://")):
        scheme, _, rest = mirror.partition("://")
        unsafe = "charts would be transferred unencrypted, and run with the cluster's permissions"
        wrong = unsafe if scheme == "http" else "unknown"
        yield Problem(
            "mirror", mirror, f"{scheme}: {wrong}", "a folder of charts, an https:// or an oci:// address",
            f"write https://{rest}",
        )  # fmt: skip
    elif "://" in mirror and not _ADDRESS.fullmatch(mirror):
        yield Problem(
            "mirror", mirror, "not an address of charts (Helm's own login holds names and passwords)",
            "https://HOST/PATH or oci://HOST/PATH", "see `helm registry login`, or correct it",
        )  # fmt: skip
    yield from _digest_problems(mirror, charts.get("digests", {}), installed, known)
    if not mirror or "://" in mirror:
        return
    # Not `Path`: that raises if a name is too long for the file system.
    if not os.path.isdir(mirror):
        yield Problem(
            "mirror", mirror, "no such folder", "a folder of charts, an https:// or an oci:// address",
            "create the folder, or remove `mirror`",
        )  # fmt: skip
        return
    for chart in installed:
        if not Path(source(chart, {"mirror": mirror})["chart"]).exists():
            yield Problem(
                "mirror", mirror, f"the chart {chart.name} {chart.version} is not in it",
                f"{chart.name}-{chart.version}.tgz or {chart.name}/Chart.yaml",
                f"helm pull {chart.name} --repo {chart.repository} --version {chart.version} -d {mirror}",
            )  # fmt: skip


def _digest_problems(
    mirror: str, digests: Mapping[str, str], installed: Sequence[Chart], known: Sequence[Chart]
) -> Iterator[Problem]:
    """Digests that are wrong or that nothing would compare, and packages that have another one."""
    by_name = {chart.name: chart for chart in known}
    for name, digest in digests.items():
        path, chart = f"digests.{name}", by_name.get(name)
        if chart is None:
            names = ", ".join(by_name) or "none"
            yield Problem(path, digest, "not a chart that is installed here", names, "remove it, or correct its name")
            continue
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            packed = f"{name}-{chart.version}.tgz"
            yield Problem(path, digest, "not a digest", "sha256: and 64 hexadecimal digits", f"see sha256sum {packed}")
        elif chart in installed and not (mirror or chart.repository).startswith("oci://"):
            yield from _package_problems(path, mirror, chart, digest)


def _package_problems(path: str, mirror: str, chart: Chart, digest: str) -> Iterator[Problem]:
    packed = Path(mirror) / f"{chart.name}-{chart.version}.tgz"
    address = not mirror or "://" in mirror
    if address and chart in versions.RENDERED:
        return  # packages.py compares it once it is fetched
    if address or not os.path.isfile(packed):
        pull = f"helm pull {chart.name} --repo {chart.repository} --version {chart.version}"
        yield Problem(
            path, digest, "Helm does not compare it: it compares digests of oci:// addresses only",
            f"a `mirror` that is an oci:// address, or a folder with {packed.name}",
            f"{pull} -d FOLDER, and `mirror: FOLDER`",
        )  # fmt: skip
    elif (found := hashlib.sha256(packed.read_bytes()).hexdigest()) != digest.removeprefix("sha256:"):
        yield Problem(
            path, digest, f"{packed.name} is another chart: sha256:{found}", "the package that was reviewed",
            "find out which of the two is correct before you continue",
        )  # fmt: skip
