"""The environment that a stack describes: the one reader of `pulumi.Config`, checked before anything is made."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Generic, TypeVar, get_args

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from components import checks, hardware, pool_checks, versions
from components.checks import Problem

from . import cloud_keys, on
from .aws.config import AwsConfig
from .cloud_keys import CloudKeys
from .config import Config, Section
from .gcp.config import GcpConfig
from .living import Living

PROJECT = "gpuyard"
CONFIGS: dict[str, type[Config]] = {hardware.AWS: AwsConfig, hardware.GCP: GcpConfig}
C = TypeVar("C", bound=Config, covariant=True)


@dataclass(frozen=True)
class Environment(Generic[C]):
    """A checked config with the facts that stand outside `gpuyard:` (the clouds' own keys, the stack's name)."""

    name: str
    config: C
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
        return {
            name: pool.model_dump(exclude_none=True, exclude_unset=True)
            for name, pool in self.config.node_pools.items()
        }

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
        yield from on.checks(self.config.cloud).warnings(self, today)
        for name, spec in self.node_pools.items():
            yield from (f"nodePools.{name}.{said}" for said in pool_checks.warnings(self.config.cloud, spec))
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
    file = f"Pulumi.{stack}.yaml"
    subject = f"The config of stack {stack} ({file})"
    cloud = raw.get("cloud", hardware.AWS)
    model = CONFIGS.get(cloud, Config) if isinstance(cloud, str) else Config
    unknown = [_unknown([key], model) for key in sorted(present - set(_declared()))]
    try:
        config = model.model_validate(raw)
    except ValidationError as error:
        checks.refuse(_prefixed([*unknown, *_shape_problems(error, model)]), subject)
        raise
    environment = Environment(f"{PROJECT}-{stack}", config, keys, file)
    environment.refuse([*unknown, *cloud_keys.problems(config.cloud, keys), *_value_problems(environment)])
    return environment


def _declared() -> list[str]:
    return _keys(Config)


def _typed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _prefixed(problems: Iterable[Problem]) -> list[Problem]:
    """Paths as they stand in the file: `gpuyard:nodePools.gpu-workers.machineTypes[0]`."""
    return [
        Problem(f"{PROJECT}:{_camel(p.path)}", p.value, p.wrong, p.allowed, p.fix)
        if ":" not in p.path.split(".")[0]
        else p
        for p in problems
    ]


def _camel(path: str) -> str:
    """Field names of ours in camelCase; a person's own keys (pool names, labels) never have an underscore first."""
    known = {name for model in _sections() for name in model.model_fields}
    return ".".join(
        to_camel(part.split("[")[0]) + part[len(part.split("[")[0]) :] if part.split("[")[0] in known else part
        for part in path.split(".")
    )


def _sections(above: type[Section] = Section) -> Iterator[type[Section]]:
    for section in above.__subclasses__():
        yield section
        yield from _sections(section)


def _unknown(location: list[str], config: type[Config]) -> Problem:
    """What to say of a key that the model at its place does not have."""
    *above, key = location
    names = _keys(_model_at(above, config))
    for cloud, other in CONFIGS.items():
        if other is not config and key in _keys(_model_at(above, other)):
            return Problem(
                _path(location), "…", f"a key of environments on {cloud} only", ", ".join(names), "remove it"
            )
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return Problem(
        _path(location), "…", "unknown key", ", ".join(names),
        f"write {near[0]}" if near else "remove it, or correct its name",
    )  # fmt: skip


def _keys(model: type[Section]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _path(location: list[str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if part.isdigit() else f".{part}" if path else part
    return path


def _shape_problems(error: ValidationError, config: type[Config]) -> Iterator[Problem]:
    """Pydantic's findings (types, missing and unknown keys) in the words of every other problem."""
    for found in error.errors():
        location = [str(part) for part in found["loc"]]
        if found["type"] == "extra_forbidden":
            yield _unknown(location, config)
        elif found["type"] == "missing":
            yield Problem(_path(location), None, "missing", _expected(location, config), "add it")
        elif found["type"] == "model_type":
            yield Problem(
                _path(location), found["input"], "no map", f"a map of {', '.join(_keys(_model_at(location, config)))}",
                "write it as a map",
            )  # fmt: skip
        else:
            allowed, value = _expected(location, config), found["input"]
            text = found["type"] == "string_type" and isinstance(value, (int, float))
            quoted = str(value).lower() if isinstance(value, bool) else value
            fix = f'put it in quotes: "{quoted}"' if text else "correct the value"
            if found["type"] in ("int_type", "bool_type") and _reads_as(found["type"], value):
                fix = f"write {value}, without quotes"
            if found["type"] == "list_type" and isinstance(value, str):
                fix = f"write [{value}]"
            yield Problem(_path(location), value, found["msg"].lower(), allowed, fix)


def _reads_as(wanted: str, value: Any) -> bool:
    """Whether a text is the number or the truth value that was wanted, in quotes."""
    text = value if isinstance(value, str) else ""
    return text in ("true", "false") if wanted == "bool_type" else text.isascii() and text.isdigit()


def _model_at(location: list[str], config: type[Config]) -> type[Section]:
    model: type[Section] = config
    for part in location:
        # Else an index, or a key of a person's own.
        if field := next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None):
            model = next(_models(field.annotation), model)
    return model


def _models(annotation: Any) -> Iterator[type[Section]]:
    """The sections in `Mapping[str, NodePool]`, `Lustre | None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _expected(location: list[str], config: type[Config]) -> str:
    model = _model_at(location[:-1], config)
    field = next((f for n, f in model.model_fields.items() if location[-1] in (n, f.alias)), None)
    if field is None:
        return "a value of the declared type"
    names = {"str": "text", "int": "a whole number", "bool": "true or false"}
    annotation = str(field.annotation)
    if "Literal" in annotation:
        return annotation.split("Literal")[1].strip("[]").replace("'", "")
    if "dict" in annotation or "Mapping" in annotation:
        return "a map" if any(_models(field.annotation)) else "a map of text to text"
    if "list" in annotation:
        return "a list"
    return next((text for kind, text in names.items() if kind in annotation), "a map")


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
    pools = [problem.under("nodePools") for problem in of_cloud.pool_problems(environment)]
    yield from pools
    yield from (p.under("storage") for p in of_cloud.storage_problems(environment))
    yield from of_cloud.tag_problems(environment)
    charts = [] if pools else of_cloud.charts(environment)
    yield from (p.under("charts") for p in of_cloud.chart_problems(environment, charts))
    if not pools:
        yield from of_cloud.addon_problems(environment)
        if not network:
            yield from (p.under("images") for p in of_cloud.image_problems(environment))
