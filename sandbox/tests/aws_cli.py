"""The part of the AWS CLI that the advice on lost objects uses, on botocore's own models: it accepts only what the real
one accepts. The endpoint and the key are read from the environment, as in every AWS program.

    aws [--region REGION] SERVICE OPERATION [--OPTION VALUE ...] [--query JMESPATH] [--output text]
    aws [--region REGION] SERVICE wait WAITER [--OPTION VALUE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.exceptions import ClientError, WaiterError
from botocore.model import Shape


def run(arguments: Sequence[str], variables: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code (254 for a refusal by AWS, as in the CLI), stdout and stderr of a command with these environment
    variables."""
    parser = argparse.ArgumentParser(prog="aws", allow_abbrev=False)
    parser.add_argument("--region", default=variables.get("AWS_REGION"))
    parser.add_argument("service")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    client = boto3.client(
        given.service,
        region_name=given.region,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    name, *rest = given.command
    try:
        if name == "wait":
            waiter = client.get_waiter(rest[0].replace("-", "_"))
            waiter.wait(
                WaiterConfig={"Delay": 1, "MaxAttempts": 60}, **_params(client, waiter.config.operation, rest[1:])
            )
            return 0, "", ""
        (operation,) = (each for each in client.meta.service_model.operation_names if xform_name(each, "-") == name)
        options, query, output = _split(rest)
        answer = getattr(client, xform_name(operation))(**_params(client, operation, options))
    except (ClientError, WaiterError) as error:
        return 254, "", f"{error}\n"
    answer.pop("ResponseMetadata", None)
    found = jmespath.search(query, answer) if query else answer
    if output == "text":
        return 0, ("\t".join(map(str, found)) if isinstance(found, list) else str(found)) + "\n", ""
    return 0, json.dumps(found, default=str) + "\n" if found else "", ""


def _split(rest: list[str]) -> tuple[list[str], str, str]:
    """The operation's own options, and the values of --query and --output."""
    message = {"--query": "", "--output": "json"}
    own = []
    words = iter(rest)
    for word in words:
        if word in message:
            message[word] = next(words)
        else:
            own.append(word)
    return own, message["--query"], message["--output"]


def _params(client: Any, operation: str, words: list[str]) -> dict[str, Any]:
    shape = client.meta.service_model.operation_model(operation).input_shape
    members = {f"--{xform_name(name, '-')}": (name, each) for name, each in shape.members.items()}
    params: dict[str, Any] = {}
    while words:
        option = words.pop(0)
        values = []
        while words and not words[0].startswith("--"):
            values.append(words.pop(0))
        if option not in members and option.startswith("--no-"):
            name, member = members[f"--{option.removeprefix('--no-')}"]
            assert member.type_name == "boolean" and not values
            params[name] = False
            continue
        name, member = members[option]
        params[name] = _value(member, values)
    return params


def _value(shape: Shape, values: list[str]) -> Any:
    if shape.type_name == "boolean":
        assert not values
        return True
    if values and values[0].startswith(("[", "{")):
        return json.loads(" ".join(values))
    if shape.type_name == "list":
        inner: Shape = shape.member  # type: ignore[attr-defined]
        return [_pairs(each) for each in values] if inner.type_name == "structure" else values
    (value,) = values
    return int(value) if shape.type_name in ("integer", "long") else value


def _pairs(text: str) -> dict[str, Any]:
    """`Name=a,Values=b,c` of a filter."""
    name, _, values = text.partition(",Values=")
    return {"Name": name.removeprefix("Name="), "Values": values.split(",")}


if __name__ == "__main__":
    code, out, err = run(sys.argv[1:], os.environ)
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.exit(code)
