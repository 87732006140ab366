"""aws.iam.getPolicyDocument: renders statements as JSON like the real data source, and merges documents."""

from __future__ import annotations

import json
import zlib
from typing import Any

from sandbox.aws.api import Api, Props
from sandbox.plugins.provider import ProviderError


def _single(values: list[Any]) -> Any:
    """The real data source writes a list of one as a plain value, and longer lists in reverse alphabetical order."""
    return values[0] if len(values) == 1 else sorted(values, reverse=True)


def _principals(blocks: list[Props]) -> Any:
    if any(block["type"] == "*" and block["identifiers"] == ["*"] for block in blocks):
        return "*"
    grouped: dict[str, list[str]] = {}
    for block in blocks:
        grouped.setdefault(block["type"], []).extend(block["identifiers"])
    return {kind: _single(identifiers) for kind, identifiers in grouped.items()}


def _statement(given: Props) -> Props:
    statement: Props = {"Sid": given["sid"]} if given.get("sid") else {}
    statement["Effect"] = given.get("effect") or "Allow"
    if statement["Effect"] not in ("Allow", "Deny"):
        raise ProviderError(f'expected effect to be one of ["Allow" "Deny"], got {statement["Effect"]}')
    for name, member in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if given.get(name):
            statement[member] = _single(given[name])
    for name, member in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if given.get(name):
            statement[member] = _principals(given[name])
    if given.get("conditions"):
        conditions: dict[str, dict[str, Any]] = {}
        for each in given["conditions"]:
            conditions.setdefault(each["test"], {}).setdefault(each["variable"], []).extend(each["values"])
        statement["Condition"] = {
            test: {variable: values[0] if len(values) == 1 else values for variable, values in by_variable.items()}
            for test, by_variable in conditions.items()
        }
    return statement


def policy_document(api: Api, args: Props) -> Props:
    document: Props = {"Version": args.get("version") or "2012-10-17"}
    if args.get("policyId"):
        document["Id"] = args["policyId"]
    statements: list[Props] = []
    for source in args.get("sourcePolicyDocuments") or ([args["sourceJson"]] if args.get("sourceJson") else []):
        held = json.loads(source).get("Statement", [])
        statements += held if isinstance(held, list) else [held]
    statements += [_statement(each) for each in args.get("statements") or []]
    for override in args.get("overridePolicyDocuments") or ([args["overrideJson"]] if args.get("overrideJson") else []):
        held = json.loads(override).get("Statement", [])
        for each in held if isinstance(held, list) else [held]:
            same = [i for i, old in enumerate(statements) if each.get("Sid") and old.get("Sid") == each["Sid"]]
            if same:
                statements[same[0]] = each
            else:
                statements.append(each)
    document["Statement"] = statements
    minified = json.dumps(document, separators=(",", ":"))
    return {
        "id": str(zlib.crc32(minified.encode())),
        "json": json.dumps(document, indent=2),
        "minifiedJson": minified,
    }
