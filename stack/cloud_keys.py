"""The keys of a stack's file that belong to Pulumi's providers: `aws:region`, `aws:profile`, `gcp:project`, …

A default provider reads all keys of its cloud; an explicit one reads none. This stack has explicit providers, so it
passes them every key (`providers.py`). A key that nothing reads is refused: an ignored `aws:allowedAccountIds` would
protect nothing.
"""

import difflib
import functools
import inspect
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pydantic.alias_generators import to_camel

from components import hardware, naming
from components.aws import regions
from components.checks import Problem
from components.clouds import CLOUDS
from components.gcp import places

NAMESPACES = ("aws", "gcp", "eks", "kubernetes", "aws-native", "google-native")
"""Namespaces of the clouds' providers. Keys of other namespaces (`pulumi:`, your program's) are ignored."""

# Keys that gpuyard replaces with its own.
_OURS = {"aws:defaultTags": "gpuyard:tags", "gcp:defaultLabels": "gpuyard:tags"}
# Identities that the provider would use but the login in the kubeconfig would not: one `up` would then run as two
# identities. The value is an alternative that both use.
_ENVIRONMENT = "set it in the shell that runs pulumi"
_SPLIT = {
    "aws:accessKey": f"{_ENVIRONMENT}: AWS_ACCESS_KEY_ID; or name a profile: aws:profile",
    "aws:secretKey": f"{_ENVIRONMENT}: AWS_SECRET_ACCESS_KEY; or name a profile: aws:profile",
    "aws:token": f"{_ENVIRONMENT}: AWS_SESSION_TOKEN; or name a profile: aws:profile",
    "aws:assumeRoleWithWebIdentity": f"{_ENVIRONMENT}: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE",
    "aws:sharedConfigFiles": f"{_ENVIRONMENT}: AWS_CONFIG_FILE",
    "aws:sharedCredentialsFiles": f"{_ENVIRONMENT}: AWS_SHARED_CREDENTIALS_FILE",
    "gcp:accessToken": f"{_ENVIRONMENT}: CLOUDSDK_AUTH_ACCESS_TOKEN and GOOGLE_OAUTH_ACCESS_TOKEN",
    "gcp:credentials": f"{_ENVIRONMENT}: GOOGLE_APPLICATION_CREDENTIALS, and gcloud auth login --cred-file",
    "gcp:externalCredentials": f"{_ENVIRONMENT}: GOOGLE_APPLICATION_CREDENTIALS, and gcloud auth login --cred-file",
}
_ACCOUNT = re.compile(r"\d{12}")
_ROLE = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@/-]+")
_SERVICE_ACCOUNT = re.compile(r"[a-z0-9-]+@[a-z0-9.:-]+\.gserviceaccount\.com")


@dataclass(frozen=True)
class CloudKeys:
    """The values in the file outside `gpuyard:`, by full key. `secret`: the keys whose values are encrypted."""

    values: Mapping[str, Any]
    secret: frozenset[str] = frozenset()

    def text(self, key: str) -> str:
        """The value of a key as text; empty if it is not set."""
        value = self.values.get(key)
        return "" if value is None else str(value)

    def provider_args(self, cloud: str) -> dict[str, Any]:
        """The cloud's keys as arguments of its `Provider`: names in snake_case, secrets marked as secret."""
        found: dict[str, Any] = {}
        for argument, name in _arguments(cloud).items():
            key = f"{cloud}:{name}"
            if key in self.values:
                found[argument] = pulumi.Output.secret(self.values[key]) if key in self.secret else self.values[key]
        return found

    @property
    def profile(self) -> str:
        """The AWS profile in the file; empty for that of the shell's environment."""
        return self.text("aws:profile")

    @property
    def role_arn(self) -> str:
        """The AWS role that the stack assumes; empty for the identity that runs pulumi."""
        match self.values.get("aws:assumeRoles"):
            case [{"roleArn": str(arn)}]:
                return arn
        return ""  # none, or a value that `problems` refuses

    @property
    def impersonated(self) -> str:
        """The Google service account that the stack impersonates; empty for the identity that runs pulumi."""
        return self.text("gcp:impersonateServiceAccount")


@functools.cache
def _arguments(cloud: str) -> dict[str, str]:
    """Arguments of the cloud's provider → their names in a stack's file."""
    return {name: to_camel(name) for name in _signature(cloud)}


@functools.cache
def _signature(cloud: str) -> Mapping[str, inspect.Parameter]:
    # Imported here, so that the other cloud's SDK is never loaded.
    if cloud == hardware.AWS:
        from pulumi_aws import ProviderArgs
    else:
        from pulumi_gcp import ProviderArgs
    return inspect.signature(ProviderArgs).parameters


_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    str: ((str,), "text"),
    Sequence: ((list,), "a list"),
}


@functools.cache
def _kind(cloud: str, name: str) -> tuple[tuple[type, ...], str]:
    """The types that a key's value may have, and their name in errors."""
    hints = {_arguments(cloud)[argument]: parameter.annotation for argument, parameter in _signature(cloud).items()}
    first = typing.get_args(hints[name])[0]
    return _KINDS.get(typing.get_origin(first) or first, ((dict,), "a map"))


def is_text(cloud: Any, key: str) -> bool:
    """Whether the cloud's provider takes the key's value as text, even if it looks like a number: a profile 1.10."""
    namespace, _, name = key.partition(":")
    if namespace != cloud or cloud not in CLOUDS or name not in _arguments(cloud).values():
        return False
    return str in _kind(cloud, name)[0]


def problems(cloud: str, keys: CloudKeys) -> Iterator[Problem]:
    """Everything that is wrong with these keys, as far as it is known without asking a cloud."""
    yield from _region(cloud, keys)
    yield from _together(keys)
    known = sorted(_arguments(cloud).values())
    for key in sorted(keys.values):
        namespace, _, name = key.partition(":")
        if namespace not in NAMESPACES:
            continue
        if namespace != cloud:
            yield Problem(key, "…", f"has no effect in an environment on {cloud}", f"keys of {cloud}:", "remove it")
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            yield Problem(
                key, "…", "unknown key, which has no effect", f"the settings of Pulumi's provider: {', '.join(known)}",
                f"write {cloud}:{near[0]}" if near else "remove it, or correct its name",
            )  # fmt: skip
        elif key in _OURS:
            yield Problem(key, "…", "gpuyard has its own key for it", _OURS[key], f"write {_OURS[key]}")
        elif key in _SPLIT:
            yield Problem(
                key, "…", "the login to the cluster does not use it, so one `up` would run as two identities",
                "an identity from the shell's environment, or a profile or role in the file", _SPLIT[key],
            )  # fmt: skip
        elif found := [*_value(key, keys.values[key])]:
            yield from found
        else:
            value = keys.values[key]
            if value == "" and name in ("region", "project"):
                continue  # reported as missing
            types, allowed = _kind(cloud, name)
            if not isinstance(value, types) or (isinstance(value, bool) and bool not in types) or value == "":
                wrong = "empty" if value == "" else f"not {allowed}"
                yield Problem(key, value, wrong, allowed, "correct or remove it")


def _together(keys: CloudKeys) -> Iterator[Problem]:
    """The provider accepts only one of these two keys (terraform-provider-aws, allowed_account_ids: conflicts)."""
    guards = ("aws:allowedAccountIds", "aws:forbiddenAccountIds")
    if all(key in keys.values for key in guards):
        yield Problem(
            guards[1], keys.values[guards[1]], f"cannot be combined with {guards[0]}", "one of the two",
            f"remove it: {guards[0]} forbids every other account",
        )  # fmt: skip


def _value(key: str, value: Any) -> Iterator[Problem]:
    if key in ("aws:allowedAccountIds", "aws:forbiddenAccountIds"):
        given = value if isinstance(value, list) else [value]
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(i, str) and _ACCOUNT.fullmatch(i) for i in given)
        ):
            quoted = ", ".join(f'"{item}"' for item in given) or '"111122223333"'
            yield Problem(
                key, value, "not a list of account ids", "twelve digits each, in quotes, in a list",
                f"write [{quoted}] with the ids that `aws sts get-caller-identity` shows",
            )  # fmt: skip
    elif key == "aws:assumeRoles":
        yield from _roles(key, value)
    elif key == "gcp:impersonateServiceAccount" and not _SERVICE_ACCOUNT.fullmatch(str(value)):
        yield Problem(
            key, value, "not the address of a service account", "NAME@PROJECT.iam.gserviceaccount.com",
            "see `gcloud iam service-accounts list`",
        )  # fmt: skip
    elif key == "gcp:impersonateServiceAccountDelegates":
        yield Problem(
            key, value, "the login to the cluster supports one service account, not a chain",
            "gcp:impersonateServiceAccount alone",
            "let the identity that runs pulumi impersonate that account directly",
        )  # fmt: skip


def _roles(key: str, value: Any) -> Iterator[Problem]:
    """The login to an EKS cluster (`aws eks get-token --role-arn`) takes one role without further options."""
    profile = "write the chain into ~/.aws/config (role_arn, source_profile, external_id) and name it: aws:profile"
    if not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        yield Problem(key, value, "not one role", "a list of one map with roleArn", profile)
        return
    role = value[0]
    if not isinstance(role.get("roleArn"), str) or not _ROLE.fullmatch(role["roleArn"]):
        yield Problem(
            f"{key}[0].roleArn", role.get("roleArn"), "not the ARN of a role", "arn:aws:iam::ACCOUNT:role/NAME",
            "see `aws iam get-role --role-name NAME --query Role.Arn`",
        )  # fmt: skip
    for name in sorted(role.keys() - {"roleArn", "externalId"} - _role_keys()):
        yield Problem(
            f"{key}[0].{name}", "…", "unknown key, which has no effect", f"roleArn, {', '.join(sorted(_role_keys()))}",
            "remove it, or correct its name",
        )  # fmt: skip
    if role.get("externalId"):
        yield Problem(f"{key}[0].externalId", "…", "the login to the cluster cannot send it", "roleArn alone", profile)


def _role_keys() -> set[str]:
    """The keys of a role that the provider accepts in addition to its ARN and external id, as a file writes them."""
    from pulumi_aws import ProviderAssumeRoleArgs

    names = inspect.signature(ProviderAssumeRoleArgs).parameters
    return {to_camel(name) for name in names} - {"roleArn", "externalId"}


def _region(cloud: str, keys: CloudKeys) -> Iterator[Problem]:
    key = f"{cloud}:region"
    region, example = keys.text(key), CLOUDS[cloud].region_example
    if not region:
        yield Problem(key, None, "missing", f"a region, such as {example}", f"pulumi config set {key} {example}")
    elif cloud == hardware.AWS:
        yield from regions.problems(key, region)
    elif region not in places.ZONES:
        near = [places.region_of(region)] if places.is_zone(region) else places.nearest(region)
        yield Problem(
            key, region, "a zone, not a region" if places.is_zone(region) else "unknown region",
            ", ".join(near) or f"a region, such as {example}",
            f"pulumi config set {key} {near[0] if near else example}",
        )  # fmt: skip
    if cloud == hardware.GCP and not naming.GOOGLE_PROJECT.fullmatch(project := keys.text("gcp:project")):
        yield Problem(
            "gcp:project", project or None, "not a valid project id" if project else "missing",
            "the id of your Google Cloud project: 6 to 30 characters, neither its name nor its number",
            "pulumi config set gcp:project YOUR-PROJECT" + (" (see `gcloud projects list`)" if project else ""),
        )  # fmt: skip
