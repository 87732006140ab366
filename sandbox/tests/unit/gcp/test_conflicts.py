"""Reliability case R7: an object of Google whose answer was lost blocks the next create, and the command deletes
it."""

from __future__ import annotations

import re
import shlex

import pytest

from recording.stacks import record
from sandbox import conflicts
from sandbox.plugins.provider import ProviderError
from sandbox.tests import gcloud_cli
from sandbox.tests.unit.gcp.stage import Cloud, urn
from sandbox.tests.unit.gcp.test_stack import bring_up
from tests.config.test_errors import changed
from tests.contract.test_gcp_platform import CHOICES

STORAGE = {**CHOICES["filestore"]["storage"], **CHOICES["buckets"]["storage"]}
CHOSEN = {"gpuyard:cluster/secretsKey": "new", "gpuyard:storage": STORAGE}
"""Settings that add the types that dev-gke does not have."""


def again(cloud: Cloud, id: str) -> str:
    """Google's answer to the same creation by a later run, which has other name suffixes; '' if it succeeds."""
    token, name, inputs, _ = cloud.made[id]
    row = cloud.provider._row(token)
    asked = dict(inputs)
    if row.autoname and re.fullmatch(rf"{name}-[0-9a-f]{{7}}", str(asked.get(row.autoname.property))):
        del asked[row.autoname.property]
    checked, failures = cloud.provider.check(token, urn(token, name), {}, asked, b"a later run")
    assert not failures
    try:
        second, outputs = cloud.provider.create(token, urn(token, name), checked, False, 1)
    except ProviderError as error:
        return str(error)
    if second != id:
        cloud.provider.delete(token, urn(token, name), second, checked, outputs, 1)
    return ""


def run(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs a command as a shell does: the content of `$(…)` first."""

    def substituted(match: re.Match[str]) -> str:
        capsys.readouterr()
        assert gcloud_cli.main(shlex.split(match[1])[1:]) == 0
        return " ".join(capsys.readouterr().out.split())

    line = re.sub(r'\$\((gcloud .*"value\(name\)")\)', substituted, command)
    assert gcloud_cli.main(shlex.split(line)[1:]) == 0


def test_a_second_create_is_refused_until_the_command_was_run_or_is_never_refused(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reliability cases R7, R10: every type of the table, in the simulated Google Cloud."""
    tried = set()
    # Dependents of an object are deleted before it.
    for id in reversed(bring_up(cloud, record(changed("dev-gke", CHOSEN), "dev-gke"))):
        token, name, inputs, _ = cloud.made[id]
        refusal = again(cloud, id)
        assert (token in conflicts.NEVER) == (not refusal), f"{token}: {refusal}"
        if refusal:
            (command,) = conflicts.commands([(token, inputs, refusal)])
            run(command, capsys)
            assert cloud.read(id) is None, command
            assert cloud.create(token, inputs, name)[0] == id
        tried.add(token)
        cloud.delete(id)
    assert tried == {token for token in (*conflicts.COMMANDS, *conflicts.NEVER) if token.startswith("gcp:")}
