"""The environment that a stack describes: the one reader of `pulumi.Config`, checked before anything is made."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pulumi
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from components import checks, hardware, versions
from components.addons import release
from components.checks import Problem
from components.pools import NodePoolSpec
from components.pools import problems as pool_problems

from . import on
from .config import Config, Section

PROJECT = "gpuyard"
_EXAMPLES = {"aws": "us-east-1", "gcp": "us-central1"}


@dataclass(frozen=True)
class Environment:
    """A checked config with the facts that stand outside `gpuyard:` (the clouds' own keys, the stack's name)."""

    name: str
    config: Config
    region: str
    project: str
    """Google Cloud project; empty on AWS."""
    file: str

    @property
    def cluster_name(self) -> str:
        """Physical name of the cluster."""
        return self.config.cluster.name or self.name

    @property
    def kubernetes_version(self) -> str:
        """Kubernetes minor version."""
        default = versions.EKS_VERSION if self.config.cloud == hardware.AWS else versions.GKE_VERSION
        return self.config.cluster.version or default

    @property
    def node_pools(self) -> dict[str, NodePoolSpec]:
        """The pools as the library takes them."""
        return {
            name: cast(NodePoolSpec, pool.model_dump(exclude_none=True, exclude_unset=True))
            for name, pool in self.config.node_pools.items()
        }

    def warnings(self) -> Iterator[str]:
        """What works here and now but deserves a look."""
        for name, pool in self.config.node_pools.items():
            for machine_type in pool.machine_types:
                machine = hardware.find(self.config.cloud, machine_type)
                if machine and not machine.offered:
                    later = ", ".join(hardware.successors(machine))
                    yield (
                        f"nodePools.{name}: {machine_type} is withdrawn, a real account cannot buy it; "
                        f"its successors: {later}"
                    )

    @property
    def tags(self) -> dict[str, str]:
        """Tags (labels on Google Cloud) of everything that bears them."""
        return {"gpuyard-stack": self.name, **self.config.tags}


def load() -> Environment:
    """The environment of the stack at hand.

    Raises:
        pulumi.RunError: one error that lists every wrong value with its path, what is allowed, and the fix.
    """
    own = pulumi.Config(PROJECT)
    raw = {key: _value(own, key) for key in _declared() if own.get(key) is not None}
    environment = parse(
        raw,
        present={key.split(":", 1)[1] for key in _all_keys() if key.startswith(f"{PROJECT}:")},
        stack=pulumi.get_stack(),
        aws_region=pulumi.Config("aws").get("region") or "",
        gcp_region=pulumi.Config("gcp").get("region") or "",
        gcp_project=pulumi.Config("gcp").get("project") or "",
    )
    for warning in environment.warnings():
        pulumi.log.warn(warning)
    return environment


def parse(
    raw: Mapping[str, Any],
    *,
    present: set[str],
    stack: str,
    aws_region: str = "",
    gcp_region: str = "",
    gcp_project: str = "",
) -> Environment:
    """The environment of a stack's config as plain values (`raw`: key → value; `present`: every key that is set)."""
    file = f"Pulumi.{stack}.yaml"
    subject = f"The config of stack {stack} ({file})"
    unknown = [_unknown(key, "", Config) for key in sorted(present - set(raw))]
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        checks.refuse(_prefixed([*unknown, *_shape_problems(error)]), subject)
        raise
    region = aws_region if config.cloud == hardware.AWS else gcp_region
    environment = Environment(f"{PROJECT}-{stack}", config, region, gcp_project, file)
    problems = [*_prefixed(unknown), *_cloud_key_problems(environment), *_prefixed(_value_problems(environment))]
    checks.refuse(problems, subject)
    return environment


def _declared() -> list[str]:
    return [field.alias or name for name, field in Config.model_fields.items()]


def _all_keys() -> list[str]:
    # The SDK hands all config to the program in one JSON object; pulumi.Config only answers for known keys.
    from pulumi.runtime.config import CONFIG

    return list(CONFIG.get())


def _value(config: pulumi.Config, key: str) -> Any:
    text = config.require(key)
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _prefixed(problems: list[Problem] | Iterator[Problem]) -> list[Problem]:
    """Paths as they stand in the file: `gpuyard:nodePools.gpu-workers.machineTypes[0]`."""
    return [
        Problem(f"{PROJECT}:{_camel(p.path)}", p.value, p.wrong, p.allowed, p.fix) if ":" not in p.path else p
        for p in problems
    ]


def _camel(path: str) -> str:
    """Field names of ours in camelCase; a person's own keys (pool names, labels) never have an underscore first."""
    known = {name for model in _sections() for name in model.model_fields}
    return ".".join(
        to_camel(part.split("[")[0]) + part[len(part.split("[")[0]) :] if part.split("[")[0] in known else part
        for part in path.split(".")
    )


def _sections() -> list[type[Section]]:
    return [Section, *Section.__subclasses__()]


def _unknown(key: str, where: str, model: type[Section]) -> Problem:
    names = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    path = f"{where}.{key}" if where else key
    return Problem(
        path, "…", "unknown key", ", ".join(names), f"write {near[0]}" if near else "remove it, or correct its name"
    )


def _shape_problems(error: ValidationError) -> Iterator[Problem]:
    """Pydantic's findings (types, missing and unknown keys) in the words of every other problem."""
    for found in error.errors():
        location = [str(part) for part in found["loc"]]
        path = ""
        for part in location:
            path += f"[{part}]" if part.isdigit() else f".{part}" if path else part
        if found["type"] == "extra_forbidden":
            parent, _, key = path.rpartition(".")
            yield _unknown(key, parent, _model_at(location[:-1]))
        elif found["type"] == "missing":
            yield Problem(path, None, "missing", _expected(location), "add it")
        else:
            yield Problem(path, found["input"], found["msg"].lower(), _expected(location), "correct the value")


def _model_at(location: list[str]) -> type[Section]:
    model: type[Section] = Config
    for part in location:
        field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        if field is None:
            continue  # an index, or a key of a person's own
        for section in _sections():
            if section.__name__ in str(field.annotation):
                model = section
    return model


def _expected(location: list[str]) -> str:
    model = _model_at(location[:-1])
    field = next((f for n, f in model.model_fields.items() if location[-1] in (n, f.alias)), None)
    if field is None:
        return "a value of the declared type"
    names = {"str": "text", "int": "a whole number", "bool": "true or false"}
    annotation = str(field.annotation)
    if "Literal" in annotation:
        return annotation.split("Literal")[1].strip("[]").replace("'", "")
    if "dict" in annotation:
        return "a map" if "Section" in annotation or "config." in annotation else "a map of text to text"
    if "list" in annotation:
        return "a list"
    return next((text for kind, text in names.items() if kind in annotation), "a map")


def _cloud_key_problems(environment: Environment) -> Iterator[Problem]:
    """What stands under the clouds' own keys, which their providers read too."""
    cloud, region = environment.config.cloud, environment.region
    key = f"{cloud}:region"
    example = _EXAMPLES[cloud]
    if not region:
        yield Problem(key, None, "missing", f"a region, such as {example}", f"pulumi config set {key} {example}")
    elif cloud == hardware.AWS and region not in hardware.aws_regions():
        near = difflib.get_close_matches(region, hardware.aws_regions(), n=3)
        yield Problem(
            key, region, "unknown region", ", ".join(near or sorted(hardware.aws_regions())),
            f"pulumi config set {key} {near[0] if near else example}",
        )  # fmt: skip
    if cloud == hardware.GCP and not environment.project:
        yield Problem(
            "gcp:project", None, "missing", "the id of your Google Cloud project",
            "pulumi config set gcp:project YOUR-PROJECT",
        )  # fmt: skip


def _value_problems(environment: Environment) -> Iterator[Problem]:
    """The library's own checks, with paths as they stand in the file. What would only follow from another mistake is
    left out: zones while the region is wrong, the add-ons' needs while a pool is."""
    config = environment.config
    cloud = on.cloud(config.cloud)
    if not any(_cloud_key_problems(environment)):
        yield from (p.under("network") for p in cloud.network_problems(environment))
    yield from (p.under("cluster") for p in cloud.cluster_problems(environment))
    pools = [
        problem.under(f"nodePools.{name}")
        for name, pool in environment.node_pools.items()
        for problem in pool_problems(config.cloud, name, pool, config.network.zones)
    ]
    yield from pools
    yield from (p.under("storage") for p in cloud.storage_problems(environment))
    charts = cloud.charts(config.addons)
    yield from (p.under("charts") for p in release.mirror_problems(config.charts.mirror, charts))
    if not pools:
        yield from cloud.addon_problems(environment)
