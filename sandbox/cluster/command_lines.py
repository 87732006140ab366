"""The command lines of a control plane's programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sandbox.cluster import kwok
from sandbox.cluster.certificates import FRONT_PROXY

SERVICES = "10.100.0.0/16"


SERVICE_IP = "10.100.0.1"

EGRESS = "egress.sock"
"""The socket of the proxy into the cluster (sandbox/controllers/network.py), in the control plane's folder."""


# The API server: the schemas of the Prometheus operator's kinds alone are 5 MB, and it keeps several forms of them.
# With a limit of 320 it collected garbage twice a second and used most of a core. The kinds of all platforms take
# 700 MB: with a limit of 768, their creation took twice as long.
LIMITS = {"etcd": 96, "kube-apiserver": 1536, "kube-controller-manager": 96, "kube-scheduler": 64, "kwok": 56}


def arguments(folder: Path, facts: dict) -> dict[str, list[str]]:
    pki = folder / "pki"
    store, etcd = pki / "etcd", f"https://127.0.0.1:{facts['etcd_port']}"
    # A single member has no peers: it listens on any port and advertises a name that is never used.
    peer = "https://127.0.0.1:2380"
    kubeconfig = "--kubeconfig={}".format
    return {
        "etcd": [
            "--name=sandbox",
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            "--listen-peer-urls=https://127.0.0.1:0",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=sandbox={peer}",
            *(
                f"--{side}{flag}"
                for side in ("", "peer-")
                for flag in (
                    f"cert-file={store / 'server.crt'}",
                    f"key-file={store / 'server.key'}",
                    f"trusted-ca-file={store / 'ca.crt'}",
                    "client-cert-auth",
                )
            ),
            "--cors=https://no-page.invalid:443",  # the default is every page
            "--enable-grpc-gateway=false",
            "--unsafe-no-fsync",
            "--snapshot-count=2000",  # until then, entries are kept in memory
            "--log-level=warn",
        ],
        "kube-apiserver": [
            f"--etcd-servers={etcd}",
            f"--etcd-cafile={store / 'ca.crt'}",
            f"--etcd-certfile={store / 'client.crt'}",
            f"--etcd-keyfile={store / 'client.key'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={facts['port']}",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",  # a loopback address is refused as an endpoint
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--service-account-issuer={facts['issuer']}",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            # What EKS and GKE run beyond the defaults (PodSecurity, Priority, ResourceQuota, … are defaults).
            "--enable-admission-plugins=ExtendedResourceToleration,NodeRestriction",
            # Calls into the cluster (webhooks, aggregated APIs) go to the processes of sandbox/controllers.
            f"--egress-selector-config-file={folder / 'egress.yaml'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy' / 'ca.crt'}",
            f"--requestheader-allowed-names={FRONT_PROXY}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki / 'front-proxy' / 'client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy' / 'client.key'}",
            "--allow-privileged=true",
            "--profiling=false",
            "--shutdown-watch-termination-grace-period=0s",
        ],
        "kube-controller-manager": [
            kubeconfig(folder / "kube-controller-manager.kubeconfig"),
            "--secure-port=0",
            "--leader-elect=false",
            # Volumes are never attached here: that controller would wait for the attachment and write warnings on pods.
            "--controllers=*,-persistentvolume-attach-detach-controller",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            "--node-monitor-period=1s",
            "--profiling=false",
        ],
        "kube-scheduler": [
            f"--config={folder / 'scheduler.yaml'}",
            "--secure-port=0",
        ],
        "kwok": [
            kubeconfig(folder / "kwok.kubeconfig"),
            f"--config={folder / 'kwok.yaml'}",
            *kwok.ARGUMENTS,
        ],
    }


def egress() -> str:
    """The API server's way into the cluster: a proxy on a unix socket in the folder in which it runs (a relative path,
    because that of a socket has a limit of 107 bytes)."""
    transport = {"uds": {"udsName": EGRESS}}
    connection = {"proxyProtocol": "HTTPConnect", "transport": transport}
    return json.dumps(
        {
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{"name": "cluster", "connection": connection}],
        },
        indent=1,
    )


def scheduler(folder: Path) -> str:
    """The default scheduler's configuration with one change: a pod that did not fit is tried again after at most 2 s
    instead of 10, because nodes boot in seconds here."""
    return json.dumps(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": str(folder / "kube-scheduler.kubeconfig")},
            "leaderElection": {"leaderElect": False},
            "enableProfiling": False,
            "podInitialBackoffSeconds": 1,
            "podMaxBackoffSeconds": 2,
        },
        indent=1,
    )


def environment(folder: Path, part: str) -> dict[str, str]:
    # HOME: kwok reads a configuration from there and must not read the user's.
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
        "GOMEMLIMIT": f"{LIMITS[part]}MiB",
        "GOMAXPROCS": str(min(4, os.cpu_count() or 1)),
    }
