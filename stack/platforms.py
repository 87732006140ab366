"""The platforms that a stack's file switches on, on both clouds: each is a row, with those that it builds on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import versions
from components.charts import images, placement, source
from components.charts.images import ImagesArgs
from components.charts.source import ChartsArgs
from components.checks import Problem
from components.cluster_pools import ClusterPool
from components.platforms.argo_workflows import ArgoWorkflows
from components.platforms.cert_manager import CertManager
from components.platforms.job_set import JobSet
from components.platforms.keda import Keda
from components.platforms.kserve import KServe
from components.platforms.kubeflow_trainer import KubeflowTrainer
from components.platforms.leader_worker_set import LeaderWorkerSet
from components.sharing import queue_pool
from components.versions import Chart

from .environment import Environment
from .section import complete


@dataclass(frozen=True)
class Platform:
    """A platform.

    `key`: its field in `PlatformsSpec`. `name`: its resource. `needs`: keys of rows above that it builds on.
    `integration`: Kueue's name of its workloads; empty if Kueue manages only their pods.
    """

    key: str
    name: str
    component: Callable[[str, Any, pulumi.ResourceOptions], pulumi.ComponentResource]
    charts: tuple[Chart, ...]
    needs: tuple[str, ...] = ()
    integration: str = ""


PLATFORMS = (
    Platform("job_set", "job-set", JobSet, (versions.JOB_SET,), integration="jobset.x-k8s.io/jobset"),
    Platform(
        "leader_worker_set",
        "leader-worker-set",
        LeaderWorkerSet,
        (versions.LEADER_WORKER_SET,),
        integration="leaderworkerset.x-k8s.io/leaderworkerset",
    ),
    Platform("keda", "keda", Keda, (versions.KEDA,)),
    Platform(
        "kubeflow_trainer",
        "kubeflow-trainer",
        KubeflowTrainer,
        (versions.KUBEFLOW_TRAINER,),
        ("job_set",),
        "trainer.kubeflow.org/trainjob",
    ),
    Platform("argo_workflows", "argo-workflows", ArgoWorkflows, (versions.ARGO_WORKFLOWS,)),
    Platform("cert_manager", "cert-manager", CertManager, (versions.CERT_MANAGER,)),
    Platform("kserve", "kserve", KServe, (versions.KSERVE_CRD, versions.KSERVE), ("cert_manager",)),
)
"""Every platform, each after those that it builds on."""


def chosen(environment: Environment) -> list[Platform]:
    """The platforms that the environment gets, in the order of `PLATFORMS`."""
    return of(environment.config.platforms.arguments())


def of(given: Mapping[str, Any]) -> list[Platform]:
    """The platforms of a section, with those that they build on."""
    wanted = {row.key for row in PLATFORMS if given.get(row.key)}
    needed = {key for row in PLATFORMS if row.key in wanted for key in row.needs}
    return [row for row in PLATFORMS if row.key in wanted | needed]


def charts(environment: Environment) -> list[Chart]:
    """The charts of these platforms."""
    return [chart for row in chosen(environment) for chart in row.charts]


def integrations(environment: Environment) -> list[str]:
    """Kueue's names of the workloads of these platforms."""
    return [row.integration for row in chosen(environment) if row.integration]


def sources(environment: Environment) -> tuple[ChartsArgs, ImagesArgs]:
    """Where charts and images come from."""
    config = environment.config
    return complete(ChartsArgs, config.charts.arguments()), complete(ImagesArgs, config.images.arguments())


def chart_problems(environment: Environment, installed: Sequence[Chart]) -> Iterator[Problem]:
    """What is wrong with `charts` where it is used for these charts only."""
    yield from source.problems(sources(environment)[0], installed, installed)


def image_problems(environment: Environment, pulled: Sequence[Chart]) -> Iterator[Problem]:
    """What is wrong with `images` where it is used for these charts only."""
    given = sources(environment)[1]
    yield from list(images.problems(given)) or images.digest_problems(given, images.references(pulled, {}))


def problems(environment: Environment) -> Iterator[Problem]:
    """Platforms that find no node to run on, and those that are off although another one builds on them."""
    for row in chosen(environment):
        for key in row.needs:
            if environment.config.platforms.written.get(key) is False:
                yield Problem(
                    f"platforms.{key}", False, f"`{row.key}` builds on it, and installs it", "true, or nothing",
                    f"remove it, or remove `{row.key}`",
                )  # fmt: skip
    if chosen(environment):
        found = placement.problems(cluster(environment))
        yield from (problem.under("platforms") for problem in found)


def cluster(environment: Environment) -> dict[str, ClusterPool]:
    """The pools as pods see them."""
    found = queue_pool.of_cloud(environment.config.cloud, environment.node_pools)
    return {name: pool.of_cluster for name, pool in found.items()}


def install(
    environment: Environment, providers: list[pulumi.ProviderResource], node_pools: Mapping[str, pulumi.Resource]
) -> dict[str, pulumi.ComponentResource]:
    """Installs the platforms; returns them by key. `node_pools`: the components of the pools; controllers wait for
    those without GPUs, and are deleted before them."""
    seen = cluster(environment)
    nodes = [node_pools[name] for name, pool in seen.items() if not pool.get("gpus")]
    from_charts, from_images = sources(environment)
    made: dict[str, pulumi.ComponentResource] = {}
    for row in chosen(environment):
        args = {
            "pools": seen,
            "kubernetes_version": environment.kubernetes_version,
            "deletion_protection": environment.config.deletion_protection,
            "charts": from_charts,
            "images": from_images,
        }
        after = [*nodes, *(made[key] for key in row.needs)]
        made[row.key] = row.component(row.name, args, pulumi.ResourceOptions(providers=providers, depends_on=after))
    return made


def removal_problems(environment: Environment) -> Iterator[Problem]:
    """Platforms that the file no longer has. The engine applies the protection of the last `up` to their kinds."""
    before = environment.deployed.settings
    if not before.get("deletionProtection", False):
        return
    written = {row.key: before.get(f"platforms.{_camel(row.key)}") for row in PLATFORMS}
    kept = {row.key for row in chosen(environment)}
    for row in of(written):
        if row.key not in kept:
            yield Problem(
                f"platforms.{row.key}", None, "it is no longer in the file, but gpuyard:deletionProtection protects "
                "its kinds: without its controllers, objects with a finalizer can never be deleted",
                "true", "restore it; or delete its objects, set gpuyard:deletionProtection: false, run `pulumi up`, "
                "and then remove it: the kinds stay in the cluster",
            )  # fmt: skip


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.title() for word in rest)
