"""How an add-on of this library is installed: its own namespace with a pod security level, and one Helm release."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from .. import checks
from ..checks import Problem
from ..versions import Chart
from . import images
from .images import ImagesArgs

# A release waits for its pods; images of several GB on a fresh node take their time.
_TIMEOUT_SECONDS = 600
_ADDRESS = re.compile(r"(https|oci)://[A-Za-z0-9.-]+(:[1-9]\d{0,4})?(/[A-Za-z0-9._~%/+-]*)?", re.ASCII)


def namespace(name: str, parent: pulumi.Resource, pod_security: str) -> k8s.core.v1.Namespace:
    """A namespace of that very name. `pod_security`: privileged, baseline or restricted (Pod Security Standards)."""
    return k8s.core.v1.Namespace(
        name,
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=name,
            labels={
                f"pod-security.kubernetes.io/{mode}{what}": value
                for mode in ("enforce", "warn", "audit")
                # The standards as the cluster's own version has them, written down so that nobody has to know it.
                for what, value in (("", pod_security), ("-version", "latest"))
            },
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def release(
    chart: Chart,
    values: Mapping[str, Any],
    *,
    namespace: pulumi.Input[str],
    parent: pulumi.Resource,
    mirror: str = "",
    digests: Mapping[str, str] | None = None,
    images_from: ImagesArgs | None = None,
    depends_on: Sequence[pulumi.Resource] = (),
) -> k8s.helm.v3.Release:
    """One release, named like its chart. `mirror`, `digests`: see `source`. `images_from`: see `images.ImagesArgs`."""
    found, sums = images_from or {}, digests or {}
    own = {chart.name: sums[chart.name]} if chart.name in sums else {}
    checks.refuse(mirror_problems(mirror, [chart], own), f"The chart {chart.name}")
    checks.refuse(images.problems(found), f"The images of {chart.name}")
    return k8s.helm.v3.Release(
        chart.name,
        name=chart.name,
        namespace=namespace,
        values=images.values(chart, found, values),
        timeout=_TIMEOUT_SECONDS,
        # A failed first install is rolled back, so that the next `up` does not find half of it.
        atomic=True,
        **source(chart, mirror, sums.get(chart.name, "")),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on)),
    )


def source(chart: Chart, mirror: str = "", digest: str = "") -> dict[str, Any]:
    """Where the chart comes from: its own repository, or a `mirror` of all charts (for clusters without internet).

    A mirror is a folder with `NAME/Chart.yaml` or `NAME-VERSION.tgz` in it, an https:// chart repository, or an oci://
    address under which the charts stand by name. `digest`: `sha256:…` of the packed chart. A package in a folder is
    compared with it by `mirror_problems`; from an oci:// address Helm takes no other (helm/helm#12690).
    """
    pin = f"@{digest}" if digest else ""
    if not mirror:
        if chart.repository.startswith("oci://"):
            return {"chart": f"{chart.repository}{pin}", "version": chart.version}
        return {
            "chart": chart.name,
            "version": chart.version,
            "repository_opts": k8s.helm.v3.RepositoryOptsArgs(repo=chart.repository),
        }
    if mirror.startswith("oci://"):
        return {"chart": f"{mirror.rstrip('/')}/{chart.name}{pin}", "version": chart.version}
    if "://" in mirror:
        return {
            "chart": chart.name,
            "version": chart.version,
            "repository_opts": k8s.helm.v3.RepositoryOptsArgs(repo=mirror),
        }
    packed = Path(mirror) / f"{chart.name}-{chart.version}.tgz"
    return {"chart": str(packed if packed.exists() else Path(mirror) / chart.name)}


def mirror_problems(mirror: str, charts: Sequence[Chart], digests: Mapping[str, str]) -> Iterator[Problem]:
    """Everything that is wrong with a mirror; whether an address answers is left to Helm."""
    if "://" in mirror and not mirror.startswith(("https://", "oci://")):
        scheme, _, rest = mirror.partition("://")
        wrong = "charts would travel unencrypted, and run with the cluster's rights" if scheme == "http" else "unknown"
        yield Problem(
            "mirror", mirror, f"{scheme}: {wrong}", "a folder of charts, an https:// or an oci:// address",
            f"write https://{rest}",
        )  # fmt: skip
    elif "://" in mirror and not _ADDRESS.fullmatch(mirror):
        yield Problem(
            "mirror", mirror, "not an address of charts (a name and a password belong into Helm's own login)",
            "https://HOST/PATH or oci://HOST/PATH", "see `helm registry login`, or correct it",
        )  # fmt: skip
    yield from _digest_problems(mirror, charts, digests)
    if not mirror or "://" in mirror:
        return
    # Not `Path`: that raises where a name is too long for a file system.
    if not os.path.isdir(mirror):
        yield Problem(
            "mirror", mirror, "no such folder", "a folder of charts, an https:// or an oci:// address",
            "make the folder, or remove the mirror",
        )  # fmt: skip
        return
    for chart in charts:
        if not Path(source(chart, mirror)["chart"]).exists():
            yield Problem(
                "mirror", mirror, f"the chart {chart.name} {chart.version} is not in it",
                f"{chart.name}-{chart.version}.tgz or {chart.name}/Chart.yaml",
                f"helm pull {chart.name} --repo {chart.repository} --version {chart.version} -d {mirror}",
            )  # fmt: skip


def _digest_problems(mirror: str, charts: Sequence[Chart], digests: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with the digests, and packages in a folder that are not what they say."""
    by_name = {chart.name: chart for chart in charts}
    for name, digest in digests.items():
        path, chart = f"digests.{name}", by_name.get(name)
        if chart is None:
            names = ", ".join(by_name) or "none"
            yield Problem(path, digest, "not a chart of this stack", names, "remove it, or correct its name")
            continue
        packed = Path(mirror) / f"{name}-{chart.version}.tgz"
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            yield Problem(
                path, digest, "not a digest", "sha256: and 64 hexadecimal digits", f"see sha256sum {packed.name}"
            )
        elif (mirror or chart.repository).startswith("oci://"):
            continue
        elif not mirror or "://" in mirror or not os.path.isfile(packed):
            yield Problem(
                path, digest, "nobody would compare it: Helm knows digests of oci:// addresses only",
                f"a mirror that is an oci:// address, or a folder with {packed.name}",
                f"helm pull {name} --repo {chart.repository} --version {chart.version} -d FOLDER, and mirror: FOLDER",
            )  # fmt: skip
        elif (found := hashlib.sha256(packed.read_bytes()).hexdigest()) != digest.removeprefix("sha256:"):
            yield Problem(
                path, digest, f"{packed.name} is another chart: sha256:{found}", "the package that was looked at",
                "find out which of the two is right before you go on",
            )  # fmt: skip
