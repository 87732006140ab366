"""The environments that the sandbox's programs run in: nothing of a real cloud account is passed on.

`isolate()` cleans this process's own environment (every program started from here inherits it), `engine()` is what
Pulumi runs in, `exports()` what a person's shell needs so that plain `pulumi`, `kubectl` and `aws` talk to the sandbox.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox import paths, process
from sandbox.aws.access_key import access_key
from sandbox.errors import SandboxError
from tools.provide import cache

PASSPHRASE = "sandbox"
"""The passphrase for the secrets of a disposable state. It is public, so it protects nothing."""

_ACCOUNTS = re.compile(
    r"(AWS|GOOGLE|GCLOUD|CLOUDSDK|GCP|GCE|ARM|AZURE|PULUMI|HELM|KUBECTL|KUBERNETES)(_|HOME|PATH|$)"
    r"|KUBECONFIG$|KUBE_|BOTO_CONFIG$|NO_GCE_CHECK$"
)
_FOREIGN = re.compile(rf"{_ACCOUNTS.pattern}|(OTEL|PYTHON|VIRTUAL_ENV)(_|HOME|PATH|$)|TRACEPARENT$|GRPC_")
_OWN_SECRETS = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")

TOOLS = ("pulumi", "kubectl", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "etcd", "kwok", "helm")
"""The tools that an environment needs; the cluster's programs are found on PATH when they are started."""

_NOWHERE = "http://127.0.0.1:1"

# Variables that lead to a real account or cluster. A shell unsets them even if this process does not have them.
_KNOWN = (
    "AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_ROLE_ARN AWS_ROLE_SESSION_NAME "
    "AWS_WEB_IDENTITY_TOKEN_FILE AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_CREDENTIALS_FULL_URI "
    "GOOGLE_CREDENTIALS GOOGLE_OAUTH_ACCESS_TOKEN GOOGLE_IMPERSONATE_SERVICE_ACCOUNT CLOUDSDK_ACTIVE_CONFIG_NAME "
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE CLOUDSDK_AUTH_ACCESS_TOKEN_FILE PULUMI_ACCESS_TOKEN PULUMI_STACK "
    "PULUMI_CONFIG_PASSPHRASE_FILE HELM_KUBECONTEXT HELM_KUBEAPISERVER HELM_KUBETOKEN KUBERNETES_SERVICE_HOST"
)

_own_passphrase: dict[str, str] = {}
_removed: set[str] = set()


def isolate() -> None:
    """Removes real credentials, profiles and endpoints from this process's environment, and adds the dummies. Raises
    SandboxError if the folder is not a sandbox's, because its `bin/` is the first entry of PATH.
    """
    paths.check()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A script has started this in the background, where SIGINT is ignored. Child processes would inherit that, but
        # the engine stops its language host and plugins with SIGINT.
        signal.signal(signal.SIGINT, lambda *_: None)
    for name in [name for name in os.environ if _FOREIGN.match(name)]:
        value = os.environ.pop(name)
        _removed.add(name)
        if name in _OWN_SECRETS:
            _own_passphrase[name] = value
    own = _own_path()  # a shell of the sandbox has them on PATH; they are not the machine's own programs
    kept = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry not in own[:2]]
    local = "127.0.0.1,localhost"
    os.environ |= {
        "GPUYARD_SANDBOX": str(paths.home()),
        "PATH": os.pathsep.join(kept),
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        **_google(),
        "KUBECACHEDIR": str(paths.home() / "helm" / "kube"),
        "HELM_CACHE_HOME": str(paths.home() / "helm" / "cache"),
        "HELM_CONFIG_HOME": str(paths.home() / "helm" / "config"),
        "HELM_DATA_HOME": str(paths.home() / "helm" / "data"),
    }
    for name in ("NO_PROXY", "no_proxy"):  # everything of the sandbox is on loopback
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), local)))


def engine(own_passphrase: bool = False) -> dict[str, str]:
    """The environment for Pulumi. `own_passphrase`: the stack's file is encrypted with the user's passphrase, which is
    kept."""
    if own_passphrase and not _own_passphrase:
        raise SandboxError(
            "The stack's file holds secrets that are encrypted with your own passphrase.",
            "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to it and run the command again",
        )
    return {
        **os.environ,
        **_pulumi(),
        **(_own_passphrase if own_passphrase else {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}),
        **_cloud(),
        **caches(),
        "KUBECONFIG": os.devnull,  # the program must name its cluster itself
        "PATH": path(),
        "VIRTUAL_ENV": sys.prefix,
        "PULUMI_DEBUG_COMMANDS": "1",  # required for --event-log
        # The engine writes its whole state at each step. With Go's default of 100, it spends a fifth of its time with
        # the collection of that garbage; with 400, the kinds of Argo Workflows take 1.3 GB more. The programs in Go
        # that it starts inherit the value.
        "GOGC": os.environ.get("GOGC", "200"),
        process.MARK: "engine",
    }


def caches() -> dict[str, str]:
    """The program's caches: what it fetches in the sandbox may come from elsewhere than in its own network (pull.py),
    so it is kept apart from what it fetches outside. The programs of the sandbox keep theirs."""
    return {"XDG_CACHE_HOME": str(paths.folder("helm", "program")), "GPUYARD_TOOLS_CACHE": str(cache())}


def exports(region: str, kubeconfig: Path) -> dict[str, str]:
    """The environment of a shell on the sandbox (`python -m sandbox env` prints it): variables that point every tool of
    the clouds, Kubernetes and Pulumi to the sandbox, or to a closed port if the sandbox has no counterpart.

    Args:
        region: of an AWS stack, else empty.
        kubeconfig: see kubeconfig.py.
    """
    kept = ("AWS_", "CLOUDSDK_", "HELM_", "KUBECACHEDIR")
    found = {
        **_pulumi(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        **{name: value for name, value in os.environ.items() if name.startswith(kept)},
        **_cloud(),
        **_google(),
        # SDKs other than gcloud's look for a login in the home folder and at the machine's metadata server.
        "GOOGLE_APPLICATION_CREDENTIALS": str(paths.home() / "shell" / "no-google-account.json"),
        "KUBECONFIG": str(kubeconfig),
        "PATH": path(),
        "VIRTUAL_ENV": sys.prefix,
    }
    if region:
        found["AWS_REGION"] = found["AWS_DEFAULT_REGION"] = region
    return found


def lines(variables: Mapping[str, str]) -> str:
    """`export` lines for a POSIX shell, and `unset` lines for variables that would lead to a real account or
    cluster."""
    set_ = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    return "\n".join([f"unset {' '.join(unset(variables))}", *set_])


def unset(variables: Mapping[str, str]) -> list[str]:
    """Names that a shell with these variables must not have."""
    return sorted({*_KNOWN.split(), *filter(_ACCOUNTS.match, _removed)} - {*variables})


def _google() -> dict[str, str]:
    return {
        "CLOUDSDK_CONFIG": str(paths.home() / "shell" / "gcloud"),
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
    }


def path(rest: str | None = None) -> str:
    """Provider shims, tools and the clone's Python before everything else (`rest`, or this process's PATH).
    Idempotent."""
    own = _own_path()
    entries = (os.environ.get("PATH", "") if rest is None else rest).split(os.pathsep)
    return os.pathsep.join(own + [entry for entry in entries if entry and entry not in own])


def _own_path() -> list[str]:
    return [str(paths.home() / "plugins"), str(paths.home() / "bin"), str(Path(sys.prefix, "bin"))]


def link(tools: Mapping[str, Path]) -> None:
    """Links the provided programs into one folder, `bin/`. Adds a `pulumi` that does not change the tracked stack
    files, and the login programs that kubeconfigs of both clouds call, for the sandbox's clusters."""
    folder = paths.folder("bin")
    wanted = dict(tools)
    _links().write_text(json.dumps({name: str(path) for name, path in tools.items()}))
    host = tools["pulumi-language-python"]
    wanted["pulumi-language-python-exec"] = host.parent / "pulumi-language-python-exec"
    del wanted["pulumi"]
    helm = wanted.pop("helm", None)
    for name, target in wanted.items():
        entry = folder / name
        if entry.is_symlink() and entry.readlink() == target:
            continue
        entry.unlink(missing_ok=True)
        entry.symlink_to(target)
    places = {"home": str(paths.home()), "root": str(paths.ROOT), "python": sys.executable}
    wrappers = {"pulumi": "sandbox.plain", "aws": "sandbox.login", "gke-gcloud-auth-plugin": "sandbox.gke_login"}
    for name, module in wrappers.items():
        wrapper = folder / name
        text = _WRAPPER.format(module=module, **_quoted(places))
        _write_program(wrapper, text)
    if helm:
        _write_program(folder / "helm", _HELM.format(real=shlex.quote(str(helm)), **_quoted(places)))


def _quoted(places: Mapping[str, str]) -> dict[str, str]:
    return {name: shlex.quote(place) for name, place in places.items()}


def _write_program(path: Path, text: str) -> None:
    if path.is_symlink():
        path.unlink()
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)
        path.chmod(0o755)


def linked() -> dict[str, Path]:
    """The programs of the last `link`; {} if no stack was ever brought up."""
    try:
        return {name: Path(path) for name, path in json.loads(_links().read_text()).items()}
    except (OSError, ValueError):
        return {}


def _links() -> Path:
    return paths.home() / "bin" / ".tools.json"


def _pulumi() -> dict[str, str]:
    """Where the engine keeps its state. Without `metadata=skip` the file backend (gocloud.dev/blob/fileblob) writes a
    sidecar `.attrs` next to each file, and one that a killed engine left empty makes the state unreadable."""
    return {
        "PULUMI_BACKEND_URL": f"file://{paths.folder('state')}?metadata=skip",
        "PULUMI_HOME": str(paths.folder("pulumi")),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def _cloud() -> dict[str, str]:
    """The address of the simulated AWS and its key. While it does not run: a closed port, never the real AWS."""
    aws = process.alive("aws")
    if not aws or not aws.port:
        return {"AWS_ENDPOINT_URL": _NOWHERE}
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws.port}", **access_key().variables}


# Wrappers of the real pulumi and the machine's own aws; the docstring of each module gives the reason.
_WRAPPER = """\
#!/bin/sh
GPUYARD_SANDBOX={home} PYTHONPATH={root} exec {python} -m {module} "$@"
"""

# The real helm, except for the download of charts: see sandbox/plugins/pull.py.
_HELM = """\
#!/bin/sh
if [ "$1" = pull ]; then
  shift
  GPUYARD_SANDBOX={home} PYTHONPATH={root} exec {python} -m sandbox.plugins.pull "$@"
fi
exec {real} "$@"
"""
