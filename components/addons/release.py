"""How an add-on of this library is installed: its own namespace with a pod security level, and one Helm release."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from ..checks import Problem
from ..versions import Chart

# A release waits for its pods; images of several GB on a fresh node take their time.
_TIMEOUT_SECONDS = 600


def namespace(name: str, parent: pulumi.Resource, pod_security: str) -> k8s.core.v1.Namespace:
    """A namespace of that very name. `pod_security`: privileged, baseline or restricted (Pod Security Standards)."""
    return k8s.core.v1.Namespace(
        name,
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=name,
            labels={
                "pod-security.kubernetes.io/enforce": pod_security,
                "pod-security.kubernetes.io/warn": pod_security,
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
    depends_on: Sequence[pulumi.Resource] = (),
) -> k8s.helm.v3.Release:
    """One release, named like its chart. `mirror`: see `source`."""
    return k8s.helm.v3.Release(
        chart.name,
        name=chart.name,
        namespace=namespace,
        values=values,
        timeout=_TIMEOUT_SECONDS,
        # A failed first install is rolled back, so that the next `up` does not find half of it.
        atomic=True,
        **source(chart, mirror),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(depends_on)),
    )


def source(chart: Chart, mirror: str = "") -> dict[str, Any]:
    """Where the chart comes from: its own repository, or a `mirror` of all charts (for clusters without internet).

    A mirror is a folder with `NAME/Chart.yaml` or `NAME-VERSION.tgz` in it, an https:// chart repository, or an oci://
    address under which the charts stand by name.
    """
    if not mirror:
        if chart.repository.startswith("oci://"):
            return {"chart": chart.repository, "version": chart.version}
        return {
            "chart": chart.name,
            "version": chart.version,
            "repository_opts": k8s.helm.v3.RepositoryOptsArgs(repo=chart.repository),
        }
    if mirror.startswith("oci://"):
        return {"chart": f"{mirror.rstrip('/')}/{chart.name}", "version": chart.version}
    if mirror.startswith(("https://", "http://")):
        return {
            "chart": chart.name,
            "version": chart.version,
            "repository_opts": k8s.helm.v3.RepositoryOptsArgs(repo=mirror),
        }
    packed = Path(mirror) / f"{chart.name}-{chart.version}.tgz"
    return {"chart": str(packed if packed.exists() else Path(mirror) / chart.name)}


def mirror_problems(mirror: str, charts: Sequence[Chart]) -> Iterator[Problem]:
    """Everything that is wrong with a mirror folder; addresses are left to Helm."""
    if not mirror or "://" in mirror:
        return
    if not Path(mirror).is_dir():
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
