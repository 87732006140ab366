"""The environments that the sandbox's programs run in: nothing of a real cloud account gets in.

`isolate()` cleans this process's own environment (every program started from here inherits it), `engine()` is what
Pulumi runs in, `exports()` what a person's shell needs so that plain `pulumi`, `kubectl` and `aws` talk to the sandbox.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox import paths, process
from sandbox.errors import SandboxError

PASSPHRASE = "sandbox"
"""Encrypts the secrets of a throw-away state; it protects nothing and hides nothing."""

_FOREIGN = re.compile(
    r"(AWS|GOOGLE|GCLOUD|CLOUDSDK|GCP|GCE|ARM|AZURE|PULUMI|OTEL|HELM|KUBECTL|PYTHON|VIRTUAL_ENV)(_|HOME|PATH|$)"
    r"|KUBECONFIG$|KUBE_|TRACEPARENT$|GRPC_"
)
_OWN_SECRETS = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")

TOOLS = ("pulumi", "kubectl", "kube-apiserver", "kube-scheduler", "kube-controller-manager", "etcd", "kwok", "helm")
"""What an environment needs; the cluster's parts are found on PATH by whoever starts them later."""

_own_passphrase: dict[str, str] = {}


def isolate() -> None:
    """Takes real credentials, profiles and endpoints out of this process's environment, and adds the dummies.

    Raises SandboxError when the sandbox's folder is not one: its `bin/` comes first on the PATH.
    """
    paths.check()
    for name in [name for name in os.environ if _FOREIGN.match(name)]:
        value = os.environ.pop(name)
        if name in _OWN_SECRETS:
            _own_passphrase[name] = value
    own = _own_path()  # a shell of the sandbox has them; taken for the machine's own they would stand for themselves
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
        "CLOUDSDK_CONFIG": str(paths.home() / "gcp" / "cloudsdk"),
        "KUBECACHEDIR": str(paths.home() / "helm" / "kube"),
        "HELM_CACHE_HOME": str(paths.home() / "helm" / "cache"),
        "HELM_CONFIG_HOME": str(paths.home() / "helm" / "config"),
        "HELM_DATA_HOME": str(paths.home() / "helm" / "data"),
    }
    for name in ("NO_PROXY", "no_proxy"):  # everything of the sandbox is on loopback
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), local)))


def engine(own_passphrase: bool = False) -> dict[str, str]:
    """What Pulumi runs in. `own_passphrase`: the stack's file is encrypted with the user's, so that one counts."""
    if own_passphrase and not _own_passphrase:
        raise SandboxError(
            "The stack's file holds secrets that are encrypted with a passphrase of yours.",
            "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to it and run the command again",
        )
    return {
        **os.environ,
        **_pulumi(),
        **(_own_passphrase if own_passphrase else {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}),
        **_cloud(),
        "KUBECONFIG": os.devnull,  # the program must name its cluster itself
        "PATH": path(),
        "VIRTUAL_ENV": sys.prefix,
        "PULUMI_DEBUG_COMMANDS": "1",  # or there is no --event-log
        process.MARK: "engine",
    }


def exports(region: str, kubeconfigs: list[Path]) -> dict[str, str]:
    """What `python -m sandbox env` prints: variables that differ from the caller's environment."""
    found = {
        **_pulumi(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
        **_cloud(),
        "PATH": path(),
        "VIRTUAL_ENV": sys.prefix,
    }
    if region:
        found["AWS_REGION"] = found["AWS_DEFAULT_REGION"] = region
    if kubeconfigs:
        found["KUBECONFIG"] = os.pathsep.join(map(str, kubeconfigs))
    return found


def lines(variables: Mapping[str, str]) -> str:
    """`export` lines for a POSIX shell, and `unset` for what would lead to a real account."""
    unset = ["unset AWS_PROFILE AWS_SESSION_TOKEN GOOGLE_APPLICATION_CREDENTIALS GOOGLE_CREDENTIALS"]
    return "\n".join(unset + [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())])


def path() -> str:
    """Provider shims, tools and the clone's Python before everything else. Idempotent."""
    own = _own_path()
    rest = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry not in own]
    return os.pathsep.join(own + rest)


def _own_path() -> list[str]:
    return [str(paths.home() / "plugins"), str(paths.home() / "bin"), str(Path(sys.prefix, "bin"))]


def link(tools: Mapping[str, Path]) -> None:
    """Puts the provided programs into one folder, `bin/`, with a `pulumi` that leaves the tracked stack files alone,
    and what kubeconfigs of either cloud log in with, for the sandbox's clusters."""
    folder = paths.folder("bin")
    wanted = dict(tools)
    _links().write_text(json.dumps({name: str(path) for name, path in tools.items()}))
    host = tools["pulumi-language-python"]
    wanted["pulumi-language-python-exec"] = host.parent / "pulumi-language-python-exec"
    del wanted["pulumi"]
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
        text = _WRAPPER.format(module=module, **{name: shlex.quote(place) for name, place in places.items()})
        if not wrapper.is_file() or wrapper.read_text() != text:
            wrapper.write_text(text)
            wrapper.chmod(0o755)


def linked() -> dict[str, Path]:
    """The programs that the last `link` put there; {} where nothing was ever brought up."""
    try:
        return {name: Path(path) for name, path in json.loads(_links().read_text()).items()}
    except (OSError, ValueError):
        return {}


def _links() -> Path:
    return paths.home() / "bin" / ".tools.json"


def _pulumi() -> dict[str, str]:
    return {
        "PULUMI_BACKEND_URL": f"file://{paths.folder('state')}",
        "PULUMI_HOME": str(paths.folder("pulumi")),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }


def _cloud() -> dict[str, str]:
    aws = process.alive("aws")
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{aws.port}"} if aws and aws.port else {}


# The real pulumi and the machine's own aws, in the care of a module that says what for.
_WRAPPER = """\
#!/bin/sh
GPUYARD_SANDBOX={home} PYTHONPATH={root} exec {python} -m {module} "$@"
"""
