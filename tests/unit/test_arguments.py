"""The check of arguments against their declaration."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import pulumi
import pytest
from pydantic.alias_generators import to_camel
from typing_extensions import NotRequired

from components import arguments, checks
from components.arguments import Shape


class Disk(TypedDict):
    """A disk."""

    size_gib: int
    """Size in GiB."""


class Image(TypedDict):
    """An image."""

    family: NotRequired[str]
    """Its family. Default: `linux`."""
    channel: NotRequired[pulumi.Input[str]]
    """Its channel. Default: `stable`."""
    note: NotRequired[str]
    """A note. Default: none."""


class Base(TypedDict):
    """Fields that both have."""

    zones: list[str]
    """Zones."""


class MachineArgs(Base):
    """A machine."""

    name: str
    """Its name."""
    subnet_ids: pulumi.Input[dict[str, pulumi.Input[str]]]
    """Subnets by zone."""
    disk: NotRequired[Disk]
    """Its disk. Default: none."""
    disks: NotRequired[dict[str, Disk]]
    """Further disks by name."""
    spot: NotRequired[bool]
    """Whether it can be reclaimed. Default: `false`."""
    capacity: NotRequired[list[str]]
    """Kinds of capacity. Default: `[on_demand, spot]`."""
    settings: NotRequired[dict[str, Any]]
    """Passed on as they are. Default: none."""
    nodes: NotRequired[int]
    """How many,
    at most 5. Default: `3`."""


CYCLIC: dict[str, Any] = {}
CYCLIC["a"] = CYCLIC
GIVEN: dict[str, Any] = {"zones": ["a"], "name": "x", "subnet_ids": {"a": "subnet-1"}}


def found(**changes: Any) -> list[checks.Problem]:
    return list(arguments.problems(MachineArgs, {**GIVEN, **changes}))


pytestmark = pytest.mark.usefixtures("event_loop")


def test_valid_arguments_are_accepted() -> None:
    assert not found(disk={"size_gib": 3}, spot=True, nodes=2, disks={"a": {"size_gib": 1}})
    assert not found(subnet_ids=pulumi.Output.from_input({"a": "subnet-1"}))
    assert not found(subnet_ids={"a": pulumi.Output.from_input("subnet-1")})
    assert not found(disk=None), "None is an omitted option"


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"nodse": 3}, "nodse", ["unknown key", "write `nodes`"]),
        ({"subnetIds": {}}, "subnetIds", ["unknown key", "write `subnet_ids`"]),
        ({"flavour": 3}, "flavour", ["unknown key", "remove it"]),
        ({"name": None}, "name", ["missing", "text"]),
        ({"disk": {}}, "disk.size_gib", ["missing", "a whole number"]),
        ({"disk": {"size_gib": 1, "sizeGib": 1}}, "disk.sizeGib", ["unknown key", "write `size_gib`"]),
        ({"disks": {"a": {"size_gib": "1"}}}, "disks.a.size_gib", ["a whole number", "write 1, without quotes"]),
        ({"disk": [1]}, "disk", ["not a map", "size_gib"]),
        ({"nodes": True}, "nodes", ["a whole number"]),
        ({"nodes": 1.5}, "nodes", ["a whole number"]),
        ({"spot": "true"}, "spot", ["true or false", "write true, without quotes"]),
        ({"name": 1.35}, "name", ["text", 'put it in quotes: "1.35"']),
        ({"zones": "a"}, "zones", ["a list", "write [a]"]),
        ({"zones": "a, b,c"}, "zones", ["a list", "write [a, b, c]"]),
        ({"zones": "[a,b]"}, "zones", ["a list", "write [a, b]"]),
        ({"zones": ["a", " "]}, "zones[1]", ["empty", "text"]),
        ({"name": ""}, "name", ["empty", "text", "write a value"]),
        ({"name": "  "}, "name", ["empty"]),
        ({"capacity": " "}, "capacity", ["empty", "a list"]),
        ({"zones": ["a", 1]}, "zones[1]", ["text"]),
        ({"subnet_ids": ["subnet-1"]}, "subnet_ids", ["not a map"]),
        ({"nodes": pulumi.Output.from_input(3)}, "nodes", ["not known", "plain"]),
        ({"zones": [pulumi.Output.from_input("a")]}, "zones[0]", ["not known", "plain"]),
        ({"disk": {"size_gib": pulumi.Output.from_input(3)}}, "disk.size_gib", ["not known"]),
        ({"settings": {"a": {1: 2}}}, "settings.a.1", ["the key is not text"]),
        ({"settings": {"a": {1, 2}}}, "settings.a", ["not a plain value"]),
        ({"settings": {"a": float("nan")}}, "settings.a", ["not a plain value"]),
        ({"disks": {1: {"size_gib": 1}}}, "disks.1", ["the key is not text"]),
        ({"subnet_ids": {"a": 5}}, "subnet_ids.a", ["a value of type int", "not text"]),
        ({"settings": CYCLIC}, "settings.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a…", ["contains itself"]),
        ({"nodes": 10**5000}, "nodes", ["too large"]),
        ({"settings": {"a": {"b": [pulumi.Output.from_input(3)]}}}, "settings.a.b[0]", ["not known"]),
    ],
)
def test_each_invalid_argument_is_one_problem(changes: dict[str, Any], path: str, words: list[str]) -> None:
    (problem,) = found(**changes)
    assert problem.path == path
    for word in words:
        assert word in str(problem)


def test_a_misspelled_required_key_is_one_problem() -> None:
    given = {("zonse" if key == "zones" else key): value for key, value in GIVEN.items()}
    (problem,) = arguments.problems(MachineArgs, given)
    assert (problem.path, problem.fix) == ("zonse", "write `zones`")


def test_a_missing_key_and_none_instead_of_a_map_are_reported() -> None:
    assert [problem.path for problem in arguments.problems(MachineArgs, {})] == ["zones", "name", "subnet_ids"]
    assert [problem.wrong for problem in arguments.problems(MachineArgs, "x")] == ["not a map"]


def test_a_component_gets_whole_numbers_and_no_none() -> None:
    """Other languages send every number as a float."""
    args = arguments.checked("Machine x", MachineArgs, {**GIVEN, "nodes": 3.0, "disk": {"size_gib": 2.0}, "spot": None})  # type: ignore[typeddict-item]
    assert args == {**GIVEN, "nodes": 3, "disk": {"size_gib": 2}, "spot": False, "capacity": ["on_demand", "spot"]}
    settings = arguments.cleaned(MachineArgs, {**GIVEN, "settings": {"pods": 5.0, "share": 0.5}})["settings"]
    assert settings == {"pods": 5, "share": 0.5} and type(settings["pods"]) is int
    assert type(args["nodes"]) is int and type(args["disk"]["size_gib"]) is int


def test_omitted_fields_have_their_declared_defaults() -> None:
    filled = arguments.cleaned(MachineArgs, GIVEN)
    assert filled == {**GIVEN, "nodes": 3, "spot": False, "capacity": ["on_demand", "spot"]}, "a map stays omitted"
    filled["capacity"].append("more")
    assert arguments.cleaned(MachineArgs, GIVEN)["capacity"] == ["on_demand", "spot"], "a default is never shared"
    inside = Shape("All", {"machine": arguments.Field("machine", arguments.shape(MachineArgs), False, "", {})})
    assert arguments.cleaned(inside, {})["machine"]["nodes"] == 3, "a default that is a map is filled as well"
    assert arguments.cleaned(MachineArgs, GIVEN, defaults=False) == GIVEN


def test_an_empty_text_is_an_omitted_field_if_there_is_a_default() -> None:
    args = arguments.checked("Image x", Image, {"family": "", "channel": "", "note": ""})
    assert args == {"family": "linux", "channel": "stable", "note": ""}
    assert arguments.cleaned(Image, {"family": "", "note": ""}, defaults=False) == {"note": ""}


def test_values_are_checked_only_if_the_keys_and_types_are_valid() -> None:
    asked: list[Any] = []

    def wrong(args: Any) -> list[checks.Problem]:
        asked.append(args)
        return [checks.Problem("nodes", 9, "too many", "up to 5", "write 5")]

    with pytest.raises(pulumi.RunError, match="name = None: missing"):
        arguments.checked("Machine x", MachineArgs, {**GIVEN, "name": None}, wrong)  # type: ignore[typeddict-item]
    assert not asked
    with pytest.raises(pulumi.RunError, match=r"Machine x: one value cannot work(.|\n)*too many"):
        arguments.checked("Machine x", MachineArgs, GIVEN, wrong)  # type: ignore[arg-type]


def test_a_shape_has_the_fields_of_those_that_it_extends_with_their_docstrings_and_defaults() -> None:
    shape = arguments.shape(MachineArgs)
    assert list(shape.fields) == [
        "zones",
        "name",
        "subnet_ids",
        "disk",
        "disks",
        "spot",
        "capacity",
        "settings",
        "nodes",
    ]
    assert shape.doc == "A machine." and shape.fields["zones"].doc == "Zones."
    assert shape.fields["nodes"].doc == "How many, at most 5. Default: `3`."
    defaults = {name: each.default for name, each in shape.fields.items()}
    assert defaults["nodes"] == 3 and defaults["spot"] is False and defaults["capacity"] == ["on_demand", "spot"]
    assert defaults["disk"] is None
    assert [name for name, each in shape.fields.items() if each.required] == ["zones", "name", "subnet_ids"]
    assert arguments.Field("zone", str, False, "Its zone. Default: `a`.").default == "a"
    assert arguments.is_input(shape.fields["subnet_ids"].hint) and not arguments.is_input(shape.fields["name"].hint)
    assert set(arguments.names(MachineArgs)) == {*shape.fields, "size_gib"}


def test_declarations_are_combined() -> None:
    shape = arguments.shape(MachineArgs).only("zones", "name").plus(arguments.shape(Disk)).only("name", "size_gib")
    assert list(shape.fields) == ["name", "size_gib"]
    inside = Shape("All", {"machine": arguments.Field("machine", shape, True)})
    assert [problem.path for problem in arguments.problems(inside, {"machine": {"name": "x"}})] == ["machine.size_gib"]
    with pytest.raises(KeyError):
        shape.only("zones")


@pytest.fixture
def camel() -> Iterator[None]:
    """Errors have the spelling of a stack's file."""
    checks.spell(arguments.names(MachineArgs), to_camel)
    yield
    checks.spell({}, str)


@pytest.mark.usefixtures("camel")
def test_an_error_uses_the_callers_spelling() -> None:
    problem = checks.Problem("disks.my_disk[0].size_gib", 1, "`size_gib` is not per_zone", "`subnet_ids: {}`", "x")
    text = str(problem)
    assert text.startswith("disks.my_disk[0].sizeGib = 1: `sizeGib` is not per_zone")
    assert "`subnetIds: {}`" in text
    checks.spell({}, str)
    assert str(problem).startswith("disks.my_disk[0].size_gib")


@pytest.mark.usefixtures("camel")
@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("disks.size_gib.size_gib", "disks.size_gib.sizeGib"),
        ("gpuyard:disks.subnet_ids: x", "gpuyard:disks.subnet_ids: x"),
        ("subnet_ids.size_gib", "subnetIds.size_gib"),
        ("subnetIds.size_gib", "subnetIds.size_gib"),
        ("settings.a.subnet_ids[0].size_gib", "settings.a.subnet_ids[0].size_gib"),
    ],
)
def test_a_key_that_the_caller_chose_is_never_respelled(path: str, shown: str) -> None:
    assert str(checks.Problem(path, 1, "x", "x", "x")).startswith(f"{shown} = 1")
    assert checks.spelled(f"{path}: text").startswith(shown)
    fix = str(checks.Problem("zones", 1, "x", "x", "see `aws show size_gib`, write `settings.size_gib: {}`"))
    assert "`aws show size_gib`" in fix and "`settings.size_gib: {}`" in fix


@pytest.mark.usefixtures("camel")
def test_an_unknown_key_is_shown_as_it_is_written() -> None:
    given = {"zones": ["a"], "name": "x", "subnetIds": {}, "disks": {"a": {"size_gib": 3, "sizeGib": 3}}}
    (problem,) = arguments.problems(MachineArgs, given, spelling=to_camel)
    assert str(problem.under("gpuyard")).startswith("gpuyard.disks.a.size_gib = '…': unknown key")
    assert "write `sizeGib`" in str(problem)


class Hostile:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError("no")


def test_any_value_can_be_in_an_error() -> None:
    (problem,) = found(name=Hostile())
    assert str(problem).startswith("name = a Hostile: not text")
    (problem,) = found(settings={"a": {Hostile(): 1}})
    assert str(problem).startswith("settings.a.a Hostile = a Hostile: the key is not text")
    large = "x" * 1_000_000
    for changes in ({"zones": large}, {large: 1}, {Hostile(): 1}, {"disks": {large: {}}}, {"nodes": large}):
        (problem,) = arguments.problems(MachineArgs, {**GIVEN, **changes})
        assert len(str(problem)) < 10_000


def _listed(count: int) -> None:
    assert not list(checks.listed("x", [f"10.{n}" for n in range(count)], count))


def _disjoint(count: int) -> None:
    assert not list(checks.disjoint({f"{n}": f"10.{n // 256}.{n % 256}.0/24" for n in range(count)}))


@pytest.mark.parametrize("check", [_listed, _disjoint])
def test_thousands_of_items_are_checked_in_linear_time(check: Callable[[int], None]) -> None:
    """Sixteen times as many items take far less than 256 times as long."""

    def seconds(count: int) -> float:
        began = time.process_time()
        check(count)
        return time.process_time() - began

    assert min(seconds(16000) for _ in range(3)) < 100 * min(seconds(1000) for _ in range(3))


def test_similar_names_are_looked_up_for_the_first_unknown_keys_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("difflib.get_close_matches", lambda name, *_, **__: asked.append(name) or [])
    assert len(found(**{f"key{n}": 1 for n in range(5000)})) == 5000
    assert len(asked) < 100
