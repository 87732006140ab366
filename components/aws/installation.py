"""All add-ons of an EKS cluster in one call, those of `addons.py`."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from .. import arguments, checks, versions
from ..charts import images, source
from ..checks import Problem
from . import addon, addons, regions, roles, served_pools
from .addons import ClusterFacts, EksAddonsSpec


def install_addons(
    facts: ClusterFacts,
    opts: pulumi.ResourceOptions | None = None,
    *,
    node_pools: Mapping[str, pulumi.Resource],
    storage: pulumi.Resource | None = None,
    name: str = "",
) -> dict[str, pulumi.ComponentResource]:
    """Installs the add-ons that the pools and `spec` of the facts need, on any EKS cluster. The result is the component
    of each add-on, by its name: `coredns`, `cluster-autoscaler`, `nvidia-device-plugin` and others.

    An add-on waits for the pools that it runs on and is deleted before them: nodes must outlive the add-ons that drain
    and monitor them. Not installed are `vpc-cni`, `kube-proxy` and `eks-pod-identity-agent` (`EksCluster` installs
    them) and the drivers of volumes (`AwsStorage`).

    Args:
        facts: facts about the cluster. A wrong one is an error before anything is created.
        opts: options of every component. They need the cluster's providers `aws` and `kubernetes`.
        node_pools: the components of the pools that this program creates, by their names in the facts.
        storage: the component that creates the storage classes, such as `AwsStorage`: Prometheus waits for it.
        name: for a program with several clusters, the beginning of the components' names: with `training`, CoreDNS is
            `training-coredns`. Default: none.
    """
    subject = f"install_addons {name}".strip()
    facts = arguments.checked(subject, ClusterFacts, facts, problems, lambda given: _pool_problems(given, node_pools))
    made: dict[str, pulumi.ComponentResource] = {}
    for row in addons.of_cluster(facts):
        waits = [node_pools[pool] for pool in row.waits_for(facts["node_pools"]) if pool in node_pools]
        waits += [storage] if row.storage and storage else []
        waits += [made[other] for other in (*row.requires, *row.after) if other in made]
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=waits))
        made[row.name] = row.install(f"{name}-{row.name}" if name else row.name, facts, after)
    return made


def problems(facts: ClusterFacts) -> Iterator[Problem]:
    """Everything that is wrong with the facts, found without calling AWS."""
    version = facts["kubernetes_version"]
    wrong = list(addon.kubernetes_problems(version))
    yield from wrong
    yield from regions.format_problems("region", facts["region"])
    spec = arguments.cleaned(EksAddonsSpec, facts.get("spec", {}))
    yield from (problem.under("spec") for problem in addons.problems(spec))
    yield from (problem.under("roles") for problem in roles.problems(facts.get("roles", {})))
    if not wrong:
        yield from addon.versions_problems("addon_versions", facts.get("addon_versions", {}), version)
    known = [row.name for row in addons.ADDONS]
    for index, each in enumerate(facts.get("existing_addons", [])):
        if each not in known:
            near = difflib.get_close_matches(each, known, n=1)
            yield Problem(
                f"existing_addons[{index}]", each, "not an add-on that is installed here", ", ".join(known),
                f"write {near[0]}" if near else "remove it",
            )  # fmt: skip
    of_pools = list(served_pools.problems(facts["node_pools"]))
    yield from of_pools
    charts = [] if of_pools else [row.chart for row in addons.of_cluster(facts) if row.chart]
    if versions.CLUSTER_AUTOSCALER in charts and not wrong:
        yield from checks.one_of("kubernetes_version", version, versions.CLUSTER_AUTOSCALER_IMAGE)
    yield from (problem.under("charts") for problem in source.problems(facts.get("charts", {}), charts))
    yield from (problem.under("images") for problem in images.problems(facts.get("images", {})))


def _pool_problems(facts: ClusterFacts, made: Mapping[str, Any]) -> Iterator[Problem]:
    """Components of pools that the facts do not have."""
    for name in made:
        if name not in facts["node_pools"]:
            yield Problem(
                f"node_pools.{name}", "a component", "the facts have no pool of that name",
                ", ".join(facts["node_pools"]) or "no pool", "add its spec to `node_pools` of the facts",
            )  # fmt: skip
