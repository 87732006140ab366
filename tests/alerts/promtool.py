"""promtool over many cases at once: a start of it costs more than a case."""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from components import arguments
from components.monitoring import alerts
from components.monitoring.prometheus import MANAGED_PROMETHEUS
from tests.alerts.series import Series
from tools.provide import provide


@dataclass(frozen=True)
class Firing:
    """One alert that fires: its labels, and the summary that a person reads."""

    labels: dict[str, str]
    summary: str


@dataclass(frozen=True)
class Case:
    """What happens to one alert while some series have these values, one a minute."""

    name: str
    system: str
    alert: str
    series: Sequence[Series]
    at: dict[int, Sequence[Firing]]
    """Minute → what fires then, and nothing else."""
    args: dict[str, Any] = field(default_factory=dict)
    """Further arguments of `Alerts`."""

    @property
    def full_name(self) -> str:
        return f"{self.alert}: {self.name} ({self.system}) {sorted(self.args)}"


def rendered(system: str, **args: Any) -> list[dict[str, Any]]:
    """The groups that the component creates. On GKE with a complete kube-state-metrics, so that all rules that can be
    there are."""
    given = {"system": system, "state_metrics": system == MANAGED_PROMETHEUS, **args}
    return alerts.groups(arguments.cleaned(alerts.AlertsArgs, given))


def promtool(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Runs promtool."""
    return subprocess.run([provide(["promtool"])["promtool"], *args], cwd=folder, capture_output=True, text=True)


def once(cases: Callable[[], Iterable[Case]]) -> Callable[[], dict[str, str]]:
    """A function that runs all cases in one start of promtool, when it is first called, and returns what failed: name
    of the case → promtool's words."""

    @functools.cache
    def failures() -> dict[str, str]:
        return failed(list(cases()))

    return failures


def failed(cases: Sequence[Case]) -> dict[str, str]:
    """Runs the cases; name of a case that failed → promtool's words."""
    with tempfile.TemporaryDirectory() as home:
        folder, files = Path(home), dict[str, list[Case]]()
        for case in cases:
            files.setdefault(yaml.safe_dump([case.system, case.alert, case.args]), []).append(case)
        for number, several in enumerate(files.values()):
            groups = _only(several[0].alert, rendered(several[0].system, **several[0].args))
            (folder / f"rules{number}.yaml").write_text(yaml.safe_dump({"groups": groups}))
            tests = {"rule_files": [f"rules{number}.yaml"], "tests": [_test(case, groups) for case in several]}
            (folder / f"test{number}.yaml").write_text(yaml.safe_dump(tests))
        done = promtool(folder, "test", "rules", *(f"test{number}.yaml" for number in range(len(files))))
    output = done.stdout + done.stderr
    found = {case.full_name: output for case in cases if f"name: {case.full_name}," in output}
    assert done.returncode == 0 or found, output
    return found


def _only(alert: str, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The alert and the recorded series that it uses: promtool evaluates every rule of a file every minute."""
    rules = {rule.get("alert") or rule["record"]: rule for group in groups for rule in group["rules"]}
    assert alert in rules, f"there is no alert {alert}"
    wanted, expr = {alert}, rules[alert]["expr"]
    while more := {name for name in rules if name in expr and name not in wanted}:
        wanted |= more
        expr = " ".join(rules[name]["expr"] for name in wanted)
    kept = ([rule for rule in group["rules"] if (rule.get("alert") or rule["record"]) in wanted] for group in groups)
    return [{**group, "rules": rules} for group, rules in zip(groups, kept) if rules]


def _test(case: Case, groups: list[dict[str, Any]]) -> dict[str, Any]:
    (rule,) = (rule for group in groups for rule in group["rules"] if rule.get("alert") == case.alert)
    assert not re.search(r"{{", rule["annotations"]["description"]), "values are in the summary"
    return {
        "name": case.full_name,
        "interval": "1m",
        "input_series": list(case.series),
        "alert_rule_test": [
            {
                "eval_time": f"{minute}m",
                "alertname": case.alert,
                "exp_alerts": [
                    {
                        "exp_labels": {**each.labels, "severity": rule["labels"]["severity"]},
                        "exp_annotations": {**rule["annotations"], "summary": each.summary},
                    }
                    for each in firing
                ],
            }
            for minute, firing in case.at.items()
        ],
    }


def records(
    system: str, series: Sequence[Series], minute: int, expected: dict[str, dict[str, float]], args: dict[str, Any]
) -> None:
    """Checks recorded series: name → labels as in PromQL → value. A series that is not expected fails as well."""
    tests = [
        {
            "expr": name,
            "eval_time": f"{minute}m",
            "exp_samples": [{"labels": f"{name}{{{labels}}}", "value": value} for labels, value in values.items()],
        }
        for name, values in expected.items()
    ]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": rendered(system, **args)}))
        test = {"interval": "1m", "input_series": list(series), "promql_expr_test": tests}
        # A group sees what an earlier one records in the same minute.
        order = [group["name"] for group in rendered(system, **args)]
        files = {"rule_files": ["rules.yaml"], "group_eval_order": order, "tests": [test]}
        (folder / "test.yaml").write_text(yaml.safe_dump(files))
        done = promtool(folder, "test", "rules", "test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
