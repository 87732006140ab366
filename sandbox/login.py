"""The `aws` of the sandbox: `aws eks get-token` logs in to the sandbox's clusters, everything else is the machine's own
`aws`, if it has one.

With it, the kubeconfig of a stack works unchanged in kubectl, in Helm and in the program. The real command creates a
token that only AWS can validate; this one returns the administrator's certificate instead, which the protocol allows
(client.authentication.k8s.io, ExecCredentialStatus).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence

from sandbox import paths
from sandbox.cluster import control_plane, key
from sandbox.cluster.control_plane import ControlPlane

_VERSION = "client.authentication.k8s.io/v1beta1"


def main(arguments: Sequence[str]) -> int:
    """Prints an ExecCredential for `eks get-token`, else becomes the machine's `aws`."""
    words = [each for each in arguments if each in ("eks", "get-token")]
    if words == ["eks", "get-token"]:
        if reason := _blocked(arguments):
            # kubectl's own request would time out; this login command reports the reason instead.
            print(f"Unable to connect to the server: {reason}", file=sys.stderr)
            return 1
        print(json.dumps(credential(arguments)))
        return 0
    own = str(paths.home() / "bin")
    path = os.pathsep.join(each for each in os.environ.get("PATH", "").split(os.pathsep) if each != own)
    program = shutil.which("aws", path=path)
    if program is None:
        print("The sandbox provides only `aws eks get-token`; install the AWS CLI for the rest.", file=sys.stderr)
        return 127
    for name in ("PYTHONPATH", "GPUYARD_SANDBOX"):  # ours, to get here
        os.environ.pop(name, None)
    os.execv(program, [program, *arguments])


def _blocked(arguments: Sequence[str]) -> str:
    from sandbox.aws import reach

    cluster = _key(arguments)
    return reach.blocked(cluster) if control_plane.get(cluster) else ""


def _key(arguments: Sequence[str]) -> str:
    region = _option(arguments, "--region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION", "")
    return key.eks(region, _option(arguments, "--cluster-name"))


def credential(arguments: Sequence[str]) -> dict[str, object]:
    """The credential with which kubectl logs in. As on AWS, it is also returned for a cluster that does not exist."""
    plane = control_plane.get(_key(arguments))
    asked = json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}").get("apiVersion")
    return exec_credential(plane, "k8s-aws-v1.sandbox", asked or "")


def exec_credential(plane: ControlPlane | None, token: str, version: str) -> dict[str, object]:
    """An ExecCredential of that apiVersion, with the certificate of the cluster's administrator, or with the token if
    there is no certificate."""
    status = {"token": token}
    if plane is not None:
        pki = plane.folder / "pki"
        status = {
            "clientCertificateData": (pki / "admin.crt").read_text(),
            "clientKeyData": (pki / "admin.key").read_text(),
        }
    return {"kind": "ExecCredential", "apiVersion": version or _VERSION, "spec": {}, "status": status}


def _option(arguments: Sequence[str], name: str) -> str:
    """The value of `--name value` or `--name=value`."""
    for index, argument in enumerate(arguments):
        if argument == name:
            return next(iter(arguments[index + 1 :]), "")
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
