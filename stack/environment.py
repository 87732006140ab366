"""The environment that a stack describes: the one reader of `pulumi.Config`, checked before anything is made."""

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
from components.clouds import AWS, CLOUDS

from . import cloud_keys, on
from .cloud_keys import CloudKeys
from .living import Living
from .section import Section

PROJECT = "gpuyard"


@dataclass(frozen=True)
class Environment:
    """A checked config with the facts outside `gpuyard:` (the clouds' own keys, the stack's name)."""

    name: str
    """Name of the environment: gpuyard-STACK."""
    config: Section
    """Everything under `gpuyard:`."""
    keys: CloudKeys
    """What the file says to the clouds' providers."""
    file: str
    living: Living = field(default_factory=Living)
    """What exists of it; nothing until `changes.compared` has looked."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Nodes of the moment by the logical names of their groups, as far as they were asked for."""

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

    @property
    def node_pools(self) -> dict[str, Any]:
        """The pools as the library takes them: specs of the cloud's own kind."""
        return {name: pool.arguments() for name, pool in self.config.node_pools.items()}

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Raises `pulumi.RunError` that lists the problems of this config, if there are any."""
        checks.refuse(_prefixed(problems), f"The config of stack {self.name.removeprefix(f'{PROJECT}-')} ({self.file})")

    def recheck(self) -> None:
        """Checks the values again, beside what exists. Raises `pulumi.RunError` as `load` does."""
        self.refuse(_value_problems(self))

    def warnings(self, today: date) -> Iterator[str]:
        """What works here and now but deserves a look. `today`: in UTC; some of it has a date."""
        if checks.whole_internet(self.config.cluster.public_access_cidrs):
            yield (
                "cluster.publicAccessCidrs: everybody on the internet reaches the API endpoint, and only IAM stands "
                "before the cluster; name the networks of those who need it"
            )
        yield from map(checks.spelled, on.checks(self.config.cloud).warnings(self, today))
        for name, spec in self.node_pools.items():
            found = [*pool_checks.warnings(self.config.cloud, spec), *_withdrawn(self.config.cloud, spec)]
            yield from (checks.spelled(f"node_pools.{name}.{each}") for each in found)

    @property
    def tags(self) -> dict[str, str]:
        """Tags (labels on Google Cloud) of everything that takes them."""
        return {"gpuyard-stack": self.name, **self.config.tags}


def load() -> Environment:
    """The environment of the stack at hand.

    Raises:
        pulumi.RunError: one error that lists every wrong value with its path, what is allowed, and the fix.
    """
    own = pulumi.Config(PROJECT)
    raw = {key: _typed(own.require(key)) for key in _declared() if own.get(key) is not None}
    # The SDK hands all config to the program in one JSON object; pulumi.Config only answers for known keys.
    everything = runtime_config.CONFIG.get()
    others = {key: text for key, text in everything.items() if not key.startswith(f"{PROJECT}:")}
    return parse(
        raw,
        present={key.split(":", 1)[1] for key in everything if key not in others},
        stack=pulumi.get_stack(),
        keys=CloudKeys(
            {key: _typed(text) for key, text in others.items()},
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
    """The environment of a stack's config as plain values (`raw`: key → value; `present`: every key of ours that is
    set; `keys`: the other ones)."""
    subject = f"The config of stack {stack} ({file_of(stack)})"
    cloud = raw.get("cloud", AWS)
    problems = list(checks.one_of("cloud", cloud, CLOUDS))
    if problems:
        checks.refuse(_prefixed(problems), subject)
    shape = on.shape(cloud)
    checks.spell(arguments.names(shape), to_camel)
    given = {**{key: None for key in present if key not in _declared()}, **raw}
    found = list(arguments.problems(shape, given, spelling=to_camel))
    problems = [_of_another_cloud(each, cloud) for each in found]
    if raw.get("nodePools") == {}:
        problems.append(Problem("node_pools", {}, "has no pool", "at least 1 pool by its name", "add a pool"))
    if any(each.wrong != arguments.UNKNOWN or "." in each.path for each in found) or not raw["nodePools"]:
        checks.refuse(_prefixed(problems), subject)
    config = Section(shape, arguments.cleaned(shape, raw, spelling=to_camel))
    environment = Environment(f"{PROJECT}-{stack}", config, keys, file_of(stack))
    # An unknown section hides no other mistake.
    environment.refuse([*problems, *cloud_keys.problems(config.cloud, keys), *_value_problems(environment)])
    return environment


def file_of(stack: str) -> str:
    """The file that holds a stack's config."""
    return f"Pulumi.{stack}.yaml"


def _declared() -> list[str]:
    return [to_camel(name) for name in on.shape(AWS).fields]


def _typed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _prefixed(problems: Iterable[Problem]) -> list[Problem]:
    """Paths as they are in the file: `gpuyard:nodePools.gpu-workers.machineTypes[0]`."""
    return [
        each if ":" in each.path.split(".")[0] else replace(each, path=f"{PROJECT}:{each.path}") for each in problems
    ]


def _of_another_cloud(problem: Problem, cloud: str) -> Problem:
    """An unknown key that another cloud has at the same place says so, and what takes its place."""
    if problem.wrong != arguments.UNKNOWN:
        return problem
    *above, key = problem.path.split(".")
    for other in CLOUDS:
        if other == cloud:
            continue
        place, there = _at(on.shape(other), above)
        name = next((name for name in there.fields if to_camel(name) == key), None)
        if name:
            hint = on.instead(cloud).get(".".join([*place, name]))
            fix = f"remove it (here: {hint})" if hint else "remove it"
            return replace(problem, wrong=f"a key of environments on {other} only", fix=fix)
    return problem


def _at(shape: Shape, path: list[str]) -> tuple[list[str], Shape]:
    """(the fields on the way, the shape) at a path of the file."""
    names: list[str] = []
    for part in path:
        inside = next((each for name, each in shape.fields.items() if part.split("[")[0] == to_camel(name)), None)
        if inside:  # else a person's own key
            names.append(inside.name)
            shape = arguments.part(inside.hint)[0] or Shape("")
    return names, shape


def _withdrawn(cloud: str, spec: Mapping[str, Any]) -> Iterator[str]:
    for machine_type in spec["machine_types"]:
        machine = hardware.find(cloud, machine_type)
        if machine and not machine.offered:
            later = ", ".join(hardware.successors(machine))
            yield f"machine_types: {machine_type} is withdrawn, a real account cannot buy it; its successors: {later}"


def _value_problems(environment: Environment) -> Iterator[Problem]:
    """The library's own checks, with paths as they stand in the file. What would only follow from another mistake is
    left out: zones while the region is wrong, the add-ons' needs while a pool is."""
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
    yield from of_cloud.tag_problems(environment)
    charts = [] if pools else of_cloud.charts(environment)
    yield from (p.under("charts") for p in of_cloud.chart_problems(environment, charts))
    if not pools:
        yield from of_cloud.addon_problems(environment)
        if not network:
            yield from (p.under("images") for p in of_cloud.image_problems(environment))
