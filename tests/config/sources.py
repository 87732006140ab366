"""Mistakes in `charts` and `images`: stack, changes, path, text of the only error."""

from __future__ import annotations

from typing import Any

from components.aws import endpoints

ECR = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
DIGEST = f"sha256:{'0' * 64}"
CLOSED = {
    "gpuyard:network": {
        "zones": ["us-east-1a", "us-east-1b"],
        "nat": "none",
        "interfaceEndpoints": list(endpoints.NEEDED_WITHOUT_NAT),
    }
}


def _images(**given: Any) -> dict[str, Any]:
    return {"gpuyard:images": given}


REGISTRY = "gpuyard:images.registry"
MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("dev", {"gpuyard:charts": {"mirror": "no-such-folder"}}, "gpuyard:charts.mirror", ["no such folder"]),
    # security case M10, reliability case R17
    (
        "dev",
        {"gpuyard:charts": {"mirror": "http://charts.example.com"}},
        "gpuyard:charts.mirror",
        ["unencrypted", "write https://charts.example.com"],
    ),
    ("dev", {"gpuyard:charts": {"mirror": "ftp://x.example.com"}}, "gpuyard:charts.mirror", ["ftp", "oci://"]),
    # similar to security case M10: a text that is not an address, and an address with a password
    ("dev", {"gpuyard:charts": {"mirror": "https://"}}, "gpuyard:charts.mirror", ["https://HOST/PATH"]),
    ("dev", {"gpuyard:charts": {"mirror": "oci://x y"}}, "gpuyard:charts.mirror", ["oci://HOST/PATH"]),
    ("dev", {"gpuyard:charts": {"mirror": "https://u:p@h.example.com/x"}}, "gpuyard:charts.mirror", ["helm registry"]),
    (
        "dev",
        {"gpuyard:charts": {"digests": {"dcgm-exporter": DIGEST}}},
        "gpuyard:charts.digests.dcgm-exporter",
        ["oci://", "dcgm-exporter-4.8.2.tgz"],
    ),
    (
        "dev",
        {"gpuyard:charts": {"digests": {"kueue": DIGEST}}},
        "gpuyard:charts.digests.kueue",
        ["not a chart that is installed here"],
    ),
    (
        "dev",
        {"gpuyard:charts": {"mirror": "oci://r.example.com/c", "digests": {"dcgm-exporter": "4.8.2"}}},
        "gpuyard:charts.digests.dcgm-exporter",
        ["64 hexadecimal"],
    ),
    # field case A10
    (
        "dev",
        CLOSED,
        REGISTRY,
        ["missing", "cannot reach docker.io, ghcr.io, nvcr.io, quay.io, registry.k8s.io", "NAT"],
    ),
    (
        "dev",
        {**CLOSED, **_images(registry=ECR.replace("us-east-1", "eu-west-1"))},
        REGISTRY,
        ["eu-west-1", "us-east-1"],
    ),
    ("dev", _images(registry=f"https://{ECR}/"), REGISTRY, [f"write {ECR}"]),
    ("dev", _images(registry="Registry.Example.com"), REGISTRY, ["write registry.example.com"]),
    ("dev", _images(registry="mirror"), REGISTRY, ["not the name of a registry"]),
    ("dev", _images(registry="r.example.com:0"), REGISTRY, ["not the name of a registry"]),
    ("dev", _images(registry="quay.io/mine"), REGISTRY, ["does not have the images of the others"]),
    ("dev", _images(prefixes={"quay.io": "quay"}), "gpuyard:images.prefixes", ["without a registry"]),
    (
        "dev",
        _images(registry=ECR, prefixes={"quay.io": "/quay/"}),
        "gpuyard:images.prefixes.quay.io",
        ["without slashes at its ends"],
    ),
    ("dev", _images(registry=ECR, prefixes={"quay": "x"}), "gpuyard:images.prefixes.quay", ["not the name of a reg"]),
    (
        "dev",
        _images(digests={"nvcr.io/nvidia/k8s-device-plugin:v0.20.0": "sha256:abc"}),
        "gpuyard:images.digests.nvcr.io/nvidia/k8s-device-plugin:v0.20.0",
        ["64 hexadecimal"],
    ),
    (
        "dev",
        _images(digests={"nvcr.io/nvidia/k8s-device-plugin:v0.19.0": DIGEST}),
        "gpuyard:images.digests.nvcr.io/nvidia/k8s-device-plugin:v0.19.0",
        ["not an image that is pulled here", "write nvcr.io/nvidia/k8s-device-plugin:v0.20.0"],
    ),
    ("dev", {"gpuyard:platforms": {"kedaa": True}}, "gpuyard:platforms.kedaa", ["write `keda`"]),
    ("dev-gke", {"gpuyard:platforms": {"keda": "yes"}}, "gpuyard:platforms.keda", ["true or false"]),
    # field case G11: keys that nothing reads on GKE
    ("dev-gke", _images(registry="registry.example.com"), REGISTRY, ["nothing on GKE", "remove it"]),
    ("dev-gke", _images(prefixes={"quay.io": "quay"}), "gpuyard:images.prefixes", ["nothing on GKE"]),
    ("dev-gke", _images(digests={"quay.io/a": DIGEST}), "gpuyard:images.digests", ["nothing on GKE"]),
    (
        "dev-gke",
        {"gpuyard:charts": {"mirror": "oci://example.com/charts"}},
        "gpuyard:charts.mirror",
        ["no chart on GKE"],
    ),
    (
        "dev-gke",
        {"gpuyard:charts": {"digests": {"a": DIGEST}}},
        "gpuyard:charts.digests",
        ["no chart on GKE", "remove"],
    ),
]
