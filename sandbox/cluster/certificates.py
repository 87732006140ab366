"""The certificate authorities of one control plane, of its etcd and of its front proxy, and everything that they sign.

They are created once per cluster and kept with it, so kubeconfigs stay valid over restarts. etcd trusts a separate
authority: the cluster's authority signs certificates that the cluster's administrators approve, and none of those may
give access to etcd. Certificates are valid for ten years, from an hour before now, so that a machine with a slow clock
accepts them. Key files are readable by the sandbox's user only.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOSTS = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
ADMIN = "system:masters"
FRONT_PROXY = "front-proxy-client"
"""Name of the certificate with which the API server calls aggregated APIs."""

CLIENTS = {
    "admin": ADMIN,
    "kwok": ADMIN,
    # Without --use-service-account-credentials all controllers act as this one client, so it needs all rights.
    "kube-controller-manager": ADMIN,
    "kube-scheduler": "",
}
"""Client certificates: user name (with the prefix `system:` for the components) and its group."""


def make(folder: Path, service_ip: str) -> None:
    """Writes ca.crt, apiserver.{crt,key}, sa.{key,pub} and one {crt,key} per client into `folder`, unless it has
    them."""

    def fill() -> None:
        signer = _authority(folder, "gpuyard-sandbox")
        _write_key(folder / "ca.key", signer[1])
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in HOSTS]
        names += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", service_ip)]
        _issue(folder, "apiserver", _name("kube-apiserver"), signer, names)
        for client, group in CLIENTS.items():
            user = client if client in ("admin", "kwok") else f"system:{client}"
            _issue(folder, client, _name(user, group), signer, [])
        # EKS and GKE sign service account tokens with RS256, which may be the only algorithm that a verifier knows.
        account_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write_key(folder / "sa.key", account_key)
        public = account_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "sa.pub").write_bytes(public)

    _once(folder, fill)


def make_mutual(folder: Path, server: str, client: str) -> None:
    """Writes ca.crt, server.{crt,key} and client.{crt,key} into `folder`, unless it has them: for a server on 127.0.0.1
    that only one client may call. The key of the authority is not kept.
    """

    def fill() -> None:
        signer = _authority(folder, f"gpuyard-sandbox-{server}")
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        _issue(folder, "server", _name(server), signer, [address])
        _issue(folder, "client", _name(client), signer, [])

    _once(folder, fill)


def make_front_proxy(folder: Path) -> None:
    """Writes ca.crt and client.{crt,key} into `folder`, unless it has them: with them the API server identifies itself
    to aggregated APIs, which believe the user names that it passes on.
    """

    def fill() -> None:
        signer = _authority(folder, "gpuyard-sandbox-front-proxy")
        _issue(folder, "client", _name(FRONT_PROXY), signer, [])

    _once(folder, fill)


def kubeconfig(folder: Path, client: str, endpoint: str, cluster: str) -> str:
    """A kubeconfig with all files embedded, so that a copy works anywhere."""

    def data(name: str) -> str:
        return base64.b64encode((folder / name).read_bytes()).decode()

    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {"server": endpoint, "certificate-authority-data": data("ca.crt")},
                }
            ],
            "users": [
                {
                    "name": client,
                    "user": {
                        "client-certificate-data": data(f"{client}.crt"),
                        "client-key-data": data(f"{client}.key"),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": client}}],
            "current-context": cluster,
        },
        sort_keys=False,
    )


Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _once(folder: Path, fill: Callable[[], None]) -> None:
    """Fills a private folder. Its last file shows that it is complete: then nothing is done."""
    mark = folder / "complete"
    if mark.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    fill()
    mark.touch()


def _authority(folder: Path, name: str) -> Signer:
    """A new authority, whose certificate is written to ca.crt."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(_name(name), key, None, None)
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _issue(folder: Path, file: str, subject: x509.Name, signer: Signer, names: Sequence[x509.GeneralName]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _sign(subject, key, signer, names)
    (folder / f"{file}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    _write_key(folder / f"{file}.key", key)


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: Signer | None,
    names: Sequence[x509.GeneralName] | None,
) -> x509.Certificate:
    """A certificate for `subject`: an authority's without a signer, a server's with names, otherwise a client's."""
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=signer is None,
                crl_sign=signer is None,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if signer:
        # Python 3.13 verifies strictly: a leaf without the authority's key identifier is refused.
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer[1].public_key()), critical=False
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer[1] if signer else key, hashes.SHA256())


def _name(common: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
