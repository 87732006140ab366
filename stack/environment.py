"""The environment that a stack describes. Only this module reads `pulumi.Config`; it checks everything before anything
is created."""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic.alias_generators import to_camel

from components import arguments, checks, hardware, pool_checks, versions
from components.arguments import Shape
from components.checks import Problem
from components.clouds import CLOUDS

from . import cloud_keys, on
from .cloud_keys import CloudKeys
from .config import CLOUD, KEYS
from .deployed import DeployedState
from .section import Section

PROJECT = "gpuyard"
_DECLARED = tuple(map(to_camel, KEYS))


@dataclass(frozen=True)
class Environment:
    """A checked config, with the keys outside `gpuyard:` and the name of the stack."""

    name: str
    """Name of the environment: gpuyard-STACK."""
    config: Section
    """Everything under `gpuyard:`."""
    keys: CloudKeys
    """The keys of the clouds' providers."""
    file: str
    """Name of the stack's file."""
    deployed: DeployedState = field(default_factory=DeployedState)
    """The existing resources of the environment; empty before `changes.compared` has read them."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Current number of nodes by the logical name of their group; empty before `changes.compared`."""

    @property
    def region(self) -> str:
        """Region of the environment's cloud."""
        return self.keys.text(f"{self.config.cloud}:region")

    @property
    def project(self) -> str:
        """Google Cloud project; empty on AWS."""
        return self.keys.text("gcp:project") if self.config.cloud == hardware.GCP else ""

    @property
    def cluster_name(self) -> str:
        """Physical name of the cluster."""
        given = self.config.cluster.name
        return self.name if given is None else given

    @property
    def kubernetes_version(self) -> str:
        """Kubernetes minor version."""
        default = versions.EKS_VERSION if self.config.cloud == hardware.AWS else versions.GKE_VERSION
        return self.config.cluster.version or default

    @functools.cached_property
    def node_pools(self) -> dict[str, Any]:
        """The pools as arguments of the library: specs of this cloud."""
        return {name: arguments.cleaned(pool.shape, pool.written) for name, pool in self.config.node_pools.items()}

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Raises `pulumi.RunError` that lists the problems of this config, if there are any."""
        _refuse(problems, self.name.removeprefix(f"{PROJECT}-"))

    def recheck(self) -> None:
        """Checks the values again, now with the existing resources. Raises `pulumi.RunError` as `load` does."""
        self.refuse(_value_problems(self))

    def warnings(self, today: date) -> Iterator[str]:
        """Settings that work but may not be intended. `today`: in UTC; some warnings depend on the date."""
        if checks.whole_internet(self.config.cluster.public_access_cidrs):
            yield (
                "cluster.publicAccessCidrs: the API endpoint is open to the whole internet, and only IAM protects the "
                "cluster; list the networks that need access"
            )
        yield from map(checks.spelled, on.checks(self.config.cloud).warnings(self, today))
        for name, spec in self.node_pools.items():
            found = [*pool_checks.warnings(self.config.cloud, spec), *_withdrawn(self.config.cloud, spec)]
            yield from (checks.spelled(f"node_pools.{name}.{each}") for each in found)

    @property
    def tags(self) -> dict[str, str]:
        """Tags (labels on Google Cloud) of everything that supports them."""
        return {"gpuyard-stack": self.name, **self.config.tags}


def load() -> Environment:
    """The environment of the current stack.

    Raises:
        pulumi.RunError: one error that lists every wrong value with its path, what is allowed, and the fix.
    """
    own = pulumi.Config(PROJECT)
    raw = {key: _typed(own.require(key)) for key in _DECLARED if own.get(key) is not None}
    cloud = raw.get("cloud", CLOUD.default)
    # The SDK passes the whole config in one JSON object; pulumi.Config returns only single keys.
    everything = runtime_config.CONFIG.get()
    others = {key: text for key, text in everything.items() if not key.startswith(f"{PROJECT}:")}
    return parse(
        raw,
        present={key.split(":", 1)[1] for key in everything if key not in others},
        stack=pulumi.get_stack(),
        keys=CloudKeys(
            {key: _typed(text, cloud_keys.is_text(cloud, key)) for key, text in others.items()},
            frozenset(key for key in others if runtime_config.is_config_secret(key)),
        ),
    )


def parse(
    raw: Mapping[str, Any],
    *,
    present: set[str],
    stack: str,
    keys: CloudKeys,
) -> Environment:
    """The environment of a config in plain values. `raw`: the values of known keys under `gpuyard:`. `present`: every
    key under `gpuyard:` that is set. `keys`: the keys outside it."""
    cloud = raw.get("cloud", CLOUD.default)
    problems = list(checks.one_of("cloud", cloud, CLOUDS))
    _refuse(problems, stack)
    shape = on.shape(cloud)
    checks.spell(arguments.names(shape), to_camel)
    given = {**{key: None for key in present if key not in _DECLARED}, **raw}
    found = list(arguments.problems(shape, given, spelling=to_camel))
    problems = [_of_another_cloud(each, cloud) for each in found]
    if raw.get("nodePools") == {}:
        problems.append(Problem("node_pools", {}, "has no pool", "at least 1 pool by its name", "add a pool"))
    if any(each.wrong != arguments.UNKNOWN or "." in each.path for each in found) or not raw["nodePools"]:
        _refuse(problems, stack)
    config = Section(shape, arguments.cleaned(shape, raw, spelling=to_camel, defaults=False))
    environment = Environment(f"{PROJECT}-{stack}", config, keys, file_of(stack))
    # The other sections are checked even if one is unknown.
    environment.refuse([*problems, *cloud_keys.problems(config.cloud, keys), *_value_problems(environment)])
    return environment


def _refuse(problems: Iterable[Problem], stack: str) -> None:
    """Every check of the config comes before the first resource of a cloud, so an error has changed nothing."""
    checks.refuse(_prefixed(problems), f"The config of stack {stack} ({file_of(stack)})", "nothing was changed")


def file_of(stack: str) -> str:
    """The name of a stack's file."""
    return f"Pulumi.{stack}.yaml"


def _typed(text: str, is_text: bool = False) -> Any:
    """The value of a key, which the engine passes as JSON or as text. `is_text`: a number is text as well."""
    try:
        value = json.loads(text)
        return text if is_text and not isinstance(value, (list, dict)) else value
    except (ValueError, RecursionError):  # not JSON, or not a valid value of a config
        return text


def _prefixed(problems: Iterable[Problem]) -> list[Problem]:
    """The problems with paths as in the file: `gpuyard:nodePools.gpu-workers.machineTypes[0]`."""
    return [
        each if ":" in each.path.split(".")[0] else replace(each, path=f"{PROJECT}:{each.path}") for each in problems
    ]


def _of_another_cloud(problem: Problem, cloud: str) -> Problem:
    """The problem of an unknown key; if another cloud has the key, it names that cloud and the alternative here."""
    if problem.wrong != arguments.UNKNOWN:
        return problem
    *above, key = problem.path.split(".")
    for other in CLOUDS:
        if other == cloud:
            continue
        place, there = _at(other, tuple(above))
        if name := there.get(key):
            hint = on.instead(cloud).get(".".join([*place, name]))
            fix = f"remove it (here: {hint})" if hint else "remove it"
            return replace(problem, wrong=f"a key of environments on {other} only", fix=fix)
    return problem


@functools.lru_cache(maxsize=100)
def _at(cloud: str, path: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    """(the names of the fields on the path, the fields at its end: key in the file → name)."""
    names: list[str] = []
    shape = on.shape(cloud)
    for part in path:
        inside = next((each for name, each in shape.fields.items() if part.split("[")[0] == to_camel(name)), None)
        if inside:  # otherwise a key that the user chose
            names.append(inside.name)
            shape = arguments.part(inside.hint)[0] or Shape("")
    return names, {to_camel(name): name for name in shape.fields}


def _withdrawn(cloud: str, spec: Mapping[str, Any]) -> Iterator[str]:
    for machine_type in spec["machine_types"]:
        machine = hardware.find(cloud, machine_type)
        if machine and not machine.offered:
            later = ", ".join(hardware.successors(machine))
            yield f"machine_types: {machine_type} is withdrawn and cannot be bought; its successors: {later}"


def _value_problems(environment: Environment) -> Iterator[Problem]:
    """The library's checks, with paths as in the file. Problems that only follow from another one are omitted: those of
    zones if the region is wrong, those of add-ons if a pool is wrong."""
    config = environment.config
    of_cloud = on.checks(config.cloud)
    network: list[Problem] = []
    if not any(cloud_keys.problems(config.cloud, environment.keys)):
        network = [problem.under("network") for problem in of_cloud.network_problems(environment)]
    yield from network
    yield from (p.under("cluster") for p in of_cloud.cluster_problems(environment))
    pools = [problem.under("node_pools") for problem in of_cloud.pool_problems(environment)]
    yield from pools
    yield from (p.under("storage") for p in of_cloud.storage_problems(environment))
    yield from (p.under("teams") for p in of_cloud.team_problems(environment))
    yield from of_cloud.tag_problems(environment)
    charts = None if pools else of_cloud.charts(environment)
    yield from (p.under("charts") for p in of_cloud.chart_problems(environment, charts))
    if not pools:
        yield from of_cloud.addon_problems(environment)
        yield from of_cloud.platform_problems(environment)
        if not network:
            yield from (p.under("images") for p in of_cloud.image_problems(environment))
