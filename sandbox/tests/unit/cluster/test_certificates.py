"""The cluster's own CA and its certificates."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sandbox.cluster import certificates


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificates.make(folder, "10.100.0.1")
    return folder


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_every_certificate_is_signed_by_the_ca(pki: Path) -> None:
    authority = load(pki / "ca.crt")
    for name in ("apiserver", *certificates.CLIENTS):
        load(pki / f"{name}.crt").verify_directly_issued_by(authority)


def test_the_server_certificate_names_loopback_and_the_service(pki: Path) -> None:
    names = load(pki / "apiserver.crt").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "10.100.0.1"}
    assert "localhost" in names.get_values_for_type(x509.DNSName)


def test_admin_is_in_the_admin_group_and_the_scheduler_is_not(pki: Path) -> None:
    assert load(pki / "admin.crt").subject.rfc4514_string() == "CN=admin,O=system:masters"
    assert load(pki / "kube-scheduler.crt").subject.rfc4514_string() == "CN=system:kube-scheduler"


def test_keys_are_readable_by_their_owner_only(pki: Path) -> None:
    assert pki.stat().st_mode & 0o777 == 0o700
    for key in pki.glob("*.key"):
        assert key.stat().st_mode & 0o077 == 0, key


def test_certificates_are_created_once_and_kept(pki: Path) -> None:
    before = {path: path.read_bytes() for path in pki.iterdir()}
    certificates.make(pki, "10.100.0.1")
    assert {path: path.read_bytes() for path in pki.iterdir()} == before


def test_a_kubeconfig_is_self_contained_and_its_key_pairs_match(pki: Path, tmp_path: Path) -> None:
    """seed row S01: a copy of the kubeconfig works without other files."""
    config = yaml.safe_load(certificates.kubeconfig(pki, "admin", "https://127.0.0.1:1", "dev"))
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    paths = []
    for name in ("client-certificate-data", "client-key-data"):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(base64.b64decode(user[name]))
    ssl.create_default_context().load_cert_chain(*paths)  # refuses a key that does not belong to the certificate
    assert base64.b64decode(cluster["certificate-authority-data"]) == (pki / "ca.crt").read_bytes()
    assert config["current-context"] == config["contexts"][0]["name"] == "dev"


def test_tokens_are_signed_with_rsa(pki: Path) -> None:
    key = serialization.load_pem_public_key((pki / "sa.pub").read_bytes())
    assert type(key).__name__.endswith("RSAPublicKey")


def test_etcd_has_a_separate_ca(pki: Path, tmp_path: Path) -> None:
    """Security case M3. A certificate of the cluster's CA, for example from a CertificateSigningRequest, does not open
    etcd; and nothing can be signed for etcd later."""
    certificates.make_mutual(tmp_path / "etcd", "etcd", "kube-apiserver")
    authority = load(tmp_path / "etcd" / "ca.crt")
    for name in ("server", "client"):
        load(tmp_path / "etcd" / f"{name}.crt").verify_directly_issued_by(authority)
        assert (tmp_path / "etcd" / f"{name}.key").stat().st_mode & 0o077 == 0
    assert authority.public_key() != load(pki / "ca.crt").public_key()
    assert not (tmp_path / "etcd" / "ca.key").exists()
    before = authority
    certificates.make_mutual(tmp_path / "etcd", "etcd", "kube-apiserver")
    assert load(tmp_path / "etcd" / "ca.crt") == before
