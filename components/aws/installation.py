"""All add-ons of an EKS cluster in one call, those of `addons.py`."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pulumi

from .. import arguments, checks, versions
from ..charts import images, source
from ..checks import Problem
from . import addon, addons, regions, roles, served_pools
from .addons import ClusterFacts, EksAddonsSpec

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_NAME_LIMIT = 63


def install_addons(
    facts: ClusterFacts,
    opts: pulumi.ResourceOptions | None = None,
    *,
    pools: Mapping[str, pulumi.Resource],
    storage: pulumi.Resource | None = None,
    name: str = "",
) -> dict[str, pulumi.ComponentResource]:
    """Installs the add-ons that the pools and `spec` of the facts need, on any EKS cluster. The result is the component
    of each add-on, by its name: `coredns`, `cluster-autoscaler`, `nvidia-device-plugin` and others.

    An add-on waits for the pools that it runs on and is deleted before them: nodes must outlive the add-ons that drain
    and monitor them. Not installed are `vpc-cni`, `kube-proxy` and `eks-pod-identity-agent` (`EksCluster` installs
    them) and the drivers of volumes (`AwsStorage`). A cluster without `eks-pod-identity-agent` needs it first: without
    it, the Cluster Autoscaler has no AWS credentials and does not start. An existing Cluster Autoscaler gets no
    priorities: the order of a pool's `capacity` has no effect, unless its expander is `priority` and you write them.

    Args:
        facts: facts about the cluster. A wrong one is an error before anything is created.
        opts: options of every component. They need the cluster's providers `aws` and `kubernetes`.
        pools: the components of the pools that this program creates, by their names in the facts.
        storage: the component that creates the storage classes, such as `AwsStorage`: Prometheus waits for it. Without
            it, monitoring needs `storage_class` of the facts.
        name: for a program with several clusters, the beginning of the components' names: with `training`, CoreDNS is
            `training-coredns`. Up to 63 lower-case letters, digits and `-`. Of several calls, each needs another name:
            the engine refuses two resources of one name. Default: none.
    """
    subject = f"install_addons {name}".strip()
    facts = arguments.checked(
        subject, ClusterFacts, facts, problems,
        lambda given: _pool_problems(given, pools),
        lambda given: _storage_problems(given, storage),
        lambda _: _name_problems(name),
    )  # fmt: skip
    made: dict[str, pulumi.ComponentResource] = {}
    for row in addons.of_cluster(facts):
        waits = [pools[pool] for pool in row.waits_for(facts["node_pools"]) if pool in pools]
        waits += [storage] if row.storage and storage else []
        waits += [made[other] for other in (*row.requires, *row.after) if other in made]
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=waits))
        made[row.name] = row.install(f"{name}-{row.name}" if name else row.name, facts, after)
    return made


def _name_problems(name: str) -> Iterator[Problem]:
    """The names of all add-ons that begin with it are accepted by IAM (a policy's) and Kubernetes (a rule's)."""
    if name and not (len(name) <= _NAME_LIMIT and _NAME.fullmatch(name)):
        yield Problem(
            "name", name, "not the beginning of a name that IAM and Kubernetes accept",
            f"up to {_NAME_LIMIT} lower-case letters, digits and '-', first and last a letter or digit", "correct it",
        )  # fmt: skip


def problems(facts: ClusterFacts) -> Iterator[Problem]:
    """Everything that is wrong with the facts, found without calling AWS."""
    version = facts["kubernetes_version"]
    wrong = list(addon.kubernetes_problems(version))
    yield from wrong
    yield from regions.format_problems("region", facts["region"])
    spec = arguments.cleaned(EksAddonsSpec, facts.get("spec", {}))
    yield from (problem.under("spec") for problem in addons.problems(spec))
    known = [row.name for row in addons.ADDONS]
    for index, each in enumerate(facts.get("existing_addons", [])):
        if each not in known:
            near = arguments.nearest(each, {name: name for name in known})
            yield Problem(
                f"existing_addons[{index}]", each, "not an add-on that is installed here", ", ".join(known),
                f"write {near}" if near else "remove it",
            )  # fmt: skip
    of_pools = list(served_pools.problems(facts["node_pools"]))
    yield from of_pools
    # Which add-ons are installed follows from the pools: if these are wrong, it is not known.
    rows = [] if of_pools else addons.of_cluster(facts)
    charts = [row.chart for row in rows if row.chart]
    if versions.CLUSTER_AUTOSCALER in charts and not wrong:
        yield from checks.one_of("kubernetes_version", version, versions.CLUSTER_AUTOSCALER_IMAGE)
    if not of_pools:
        used = addons.role_fields(rows)
        yield from (problem.under("roles") for problem in roles.problems(facts.get("roles", {}), used))
        yield from _monitoring_problems(facts, [row.name for row in rows])
        shared = addons.sharing_problems(facts["node_pools"], spec, facts.get("existing_addons", []))
        yield from (problem.under("node_pools") for problem in shared)
    if not wrong and not of_pools:
        asked = facts.get("addon_versions", {})
        yield from addon.versions_problems("addon_versions", asked, version, addons.managed(rows))
    yield from (problem.under("charts") for problem in source.problems(facts.get("charts", {}), charts))
    yield from (problem.under("images") for problem in _image_problems(facts))


def _image_problems(facts: ClusterFacts) -> Iterator[Problem]:
    given = facts.get("images", {})
    tag = versions.CLUSTER_AUTOSCALER_IMAGE.get(facts["kubernetes_version"], "")
    known = images.references(versions.CHARTS, {versions.CLUSTER_AUTOSCALER: tag})
    yield from list(images.problems(given)) or images.digest_problems(given, known)


def _monitoring_problems(facts: ClusterFacts, installed: Collection[str]) -> Iterator[Problem]:
    """An existing Prometheus operator ignores, without an error, monitors and rules that it does not select."""
    namespace, labels = facts["monitoring_namespace"], facts.get("monitor_labels")
    yield from checks.namespace("monitoring_namespace", namespace)
    for key, value in (labels or {}).items():
        yield from checks.label("monitor_labels", key, value)
    if "monitoring" in facts.get("existing_addons", []):
        if labels is None and ("alerts" in installed or "dcgm-exporter" in installed):
            yield Problem(
                "monitor_labels", None, "missing: the existing operator may ignore the alert rules and the GPU metrics",
                "the labels by which it selects monitors and rules; an empty map if it selects all of them",
                "see `kubectl get prometheus -A -o yaml`, serviceMonitorSelector and ruleSelector",
            )  # fmt: skip
        return
    usual = arguments.default(ClusterFacts, "monitoring_namespace")
    for field, value in (("monitor_labels", labels), ("monitoring_namespace", namespace)):
        if value not in (None, {}, usual):
            yield Problem(
                field, value, "only for an existing Prometheus operator", "nothing",
                "remove it, or add `monitoring` to `existing_addons`",
            )  # fmt: skip


def _storage_problems(facts: ClusterFacts, storage: Any) -> Iterator[Problem]:
    """No storage class for Prometheus' disk: its pod would wait for the volume, and the release for the pod."""
    own = arguments.cleaned(EksAddonsSpec, facts.get("spec", {}))["monitoring"]
    own = own and "monitoring" not in facts.get("existing_addons", [])
    if storage is not None and not isinstance(storage, pulumi.Resource):
        yield _not_a_resource("storage", storage)
    elif own and storage is None and "storage_class" not in facts:
        yield Problem(
            "storage_class", None, "missing: Prometheus needs a disk, and no `storage` is passed",
            "a storage class of the cluster (see `kubectl get storageclasses`)",
            "add it, pass `storage`, or set `monitoring` of `spec` to `false`",
        )  # fmt: skip


def _pool_problems(facts: ClusterFacts, made: Any) -> Iterator[Problem]:
    """Components of pools that the facts do not have, and what is not a component."""
    if not isinstance(made, Mapping):
        yield Problem(
            "pools", f"a {type(made).__name__}", "not a map", "the components by the names of their pools",
            "write it as a map",
        )  # fmt: skip
        return
    for name, each in made.items():
        if name not in facts["node_pools"]:
            yield Problem(
                f"pools.{name}", f"a {type(each).__name__}", "the facts have no pool of that name",
                ", ".join(facts["node_pools"]) or "no pool", "add its spec to `node_pools` of the facts",
            )  # fmt: skip
        elif not isinstance(each, pulumi.Resource):
            yield _not_a_resource(f"pools.{name}", each)


def _not_a_resource(path: str, value: Any) -> Problem:
    return Problem(
        path, f"a {type(value).__name__}", "not a resource", "the component that this program creates",
        "pass the component, neither its spec nor its outputs",
    )  # fmt: skip
