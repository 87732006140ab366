"""How an add-on of this library is installed: its own namespace with a pod security level, and one Helm release."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from ..checks import Problem
from ..versions import Chart
from . import images, source
from .images import ImagesArgs
from .source import ChartsArgs

# A release waits for its pods; pulling images of several GB to a new node takes minutes.
_TIMEOUT_SECONDS = 600


def problems(chart: Chart, charts: ChartsArgs, images_from: ImagesArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments `charts` and `images` of a component that installs `chart`."""
    yield from (problem.under("charts") for problem in source.problems(charts, [chart]))
    known = [*images.of_library(), *images.references([chart], {})]
    found = list(images.problems(images_from)) or images.digest_problems(images_from, known)
    yield from (problem.under("images") for problem in found)


def namespace(
    resource: str,
    name: str,
    parent: pulumi.Resource,
    pod_security: str,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> k8s.core.v1.Namespace:
    """A namespace.

    Args:
        resource: name of the Pulumi resource.
        name: name in the cluster. In gpuyard 0.1 it was that of the resource as well.
        parent: the component.
        pod_security: privileged, baseline or restricted (Pod Security Standards).
        labels: further labels.
    """
    return k8s.core.v1.Namespace(
        resource,
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=name,
            labels={**pod_security_labels(pod_security), **labels},
        ),
        opts=pulumi.ResourceOptions(parent=parent, aliases=[pulumi.Alias(name=name)]),
    )


def pod_security_labels(level: str) -> dict[str, str]:
    """The labels of a namespace with a level of the Pod Security Standards."""
    return {
        f"pod-security.kubernetes.io/{mode}{what}": value
        for mode in ("enforce", "warn", "audit")
        # The standards of the cluster's own version, written explicitly so that the default need not be known.
        for what, value in (("", level), ("-version", "latest"))
    }


def release(
    resource: str,
    chart: Chart,
    values: Mapping[str, Any],
    *,
    namespace: pulumi.Input[str],
    parent: pulumi.Resource,
    charts: ChartsArgs,
    images_from: ImagesArgs,
    depends_on: Sequence[pulumi.Resource] = (),
) -> k8s.helm.v3.Release:
    """One Helm release; in the cluster it has the chart's name.

    Args:
        resource: name of the Pulumi resource. In gpuyard 0.1 it was the chart's name.
        chart: the pinned chart.
        values: the chart's values, without those that `images_from` sets.
        namespace: name of its namespace.
        parent: the component.
        charts: where the chart comes from.
        images_from: where its images come from.
        depends_on: what must exist first.
    """
    return k8s.helm.v3.Release(
        resource,
        name=chart.name,
        namespace=namespace,
        values=images.values(chart, images_from, values),
        timeout=_TIMEOUT_SECONDS,
        # A failed first install is rolled back, so that the next `up` does not find half of it.
        atomic=True,
        **source.source(chart, charts),
        opts=pulumi.ResourceOptions(
            parent=parent, depends_on=list(depends_on), aliases=[pulumi.Alias(name=chart.name)]
        ),
    )
