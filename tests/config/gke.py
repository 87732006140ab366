"""Mistakes in settings that only environments on Google Cloud have, except pools: (stack, change, path in the error,
text that the error must contain)."""

from __future__ import annotations

from typing import Any

from tests.config.network import DELETE, NET, OWNED_GKE

CLUSTER, STORAGE = "gpuyard:cluster", "gpuyard:storage"
OTHERS = {f"{NET}/cidr": DELETE}
KEY = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"

FILES = {"zone": "us-central1-a", "namespace": "ml"}
DATA = {"bucket": "acme", "namespace": "ml"}
EXCLUSIONS = {"a": {"first": "2027-01-01", "last": "2027-03-31"}, "b": {"first": "2027-04-02", "last": "2027-06-30"}}

_PROJECT: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"gcp:project": "123456789012"}, "gcp:project", ["neither its name nor its number", "gcloud projects list"]),
    ({"gcp:project": "My Project"}, "gcp:project", ["not a valid project id"]),
    # Components that take the project as well do not repeat the error.
    (
        {"gcp:project": "My Project", STORAGE: {"filestore": FILES, "buckets": {"data": DATA}}},
        "gcp:project",
        ["not a valid project id"],
    ),
    (
        {"gcp:project": "My Project", **OTHERS, f"{NET}/existing": OWNED_GKE},
        "gcp:project",
        ["not a valid project id"],
    ),
    ({"gcp:region": "us-central1-a"}, "gcp:region", ["a zone, not a region", "gcp:region us-central1"]),
    ({"gcp:region": "US-CENTRAL1"}, "gcp:region", ["unknown region"]),
    ({"gcp:region": "mars-north1"}, "gcp:region", ["unknown region"]),  # reliability case R16
    ({"gcp:region": "us-centrall1"}, "gcp:region", ["unknown region", "gcp:region us-central1"]),
]

_NETWORK: list[tuple[dict[str, Any], str, list[str]]] = [
    ({f"{NET}/nat": "per_zone"}, "network.nat", ["belongs to a region", "write single"]),
    ({f"{NET}/flowLogPercent": 200}, "network.flowLogPercent", ["0 (no log) to 100"]),
    ({f"{NET}/podsCidr": "10.64.0.0/20"}, "network.podsCidr", ["31 nodes", "write `podsCidr: 10.64.0.0/19`"]),
    ({f"{NET}/cidr": "10.0.0.0/27"}, "network.cidr", ["31 nodes", "write `cidr: 10.0.0.0/26`"]),
    ({f"{NET}/zones": ["us-central1xa"]}, "network.zones[0]", ["not a zone of us-central1"]),
    ({f"{NET}/zones": ["us-central1-z"]}, "network.zones[0]", ["has no such zone", "us-central1-f"]),  # R16
    # field case G7: AI zones together with standard zones
    ({f"{NET}/zones": ["us-central1-ai1a"]}, "network.zones", ["standard zones", "add a zone"]),
    ({f"{NET}/zones": ["us-central1-ai1a"], STORAGE: {"filestore": FILES}}, "network.zones", ["add a zone"]),
    (
        {f"{NET}/zones": ["us-central1-a", "us-central1-ai1a"], f"{CLUSTER}/location": "us-central1-ai1a"},
        "cluster.location",
        ["an AI zone, which cannot have a control plane", "write us-central1"],
    ),
    (
        {
            f"{NET}/zones": ["us-central1-a", "us-central1-ai1a"],
            "gpuyard:nodePools/cpu-workers/zones": ["us-central1-ai1a"],
        },
        "nodePools.cpu-workers.zones[0]",
        ["for accelerators"],
    ),
    ({f"{NET}/zones": ["us-central1-A"]}, "network.zones[0]", ["not a zone of us-central1"]),
    ({f"{NET}/cidr": "127.0.0.0/16"}, "network.cidr", ["for loopback"]),
    ({f"{NET}/podsCidr": "224.0.0.0/12"}, "network.podsCidr", ["for multicast"]),
    ({f"{NET}/servicesCidr": "169.254.0.0/20"}, "network.servicesCidr", ["metadata server"]),
    ({f"{NET}/podsCidr": "199.36.144.0/20"}, "network.podsCidr", ["for Private Google Access"]),
    ({f"{NET}/flowLogDays": 7}, "network.flowLogDays", ["environments on aws only"]),
    ({f"{NET}/existing": OWNED_GKE}, "network.cidr", ["the owner of the VPC", "remove it"]),
    (
        {**OTHERS, f"{NET}/existing": OWNED_GKE, f"{NET}/servicesCidr": "10.9.0.0/20"},
        "network.servicesCidr",
        ["the owner of the VPC"],
    ),
    (
        {**OTHERS, f"{NET}/existing": {**OWNED_GKE, "network": "projects/p/global/networks/n"}},
        "network.existing.network",
        ["without a path"],
    ),
    (
        {**OTHERS, f"{NET}/existing": {**OWNED_GKE, "hostProject": "My Project"}},
        "network.existing.hostProject",
        ["not a valid project id"],
    ),
    (
        {**OTHERS, f"{NET}/existing": {**OWNED_GKE, "servicesRange": "pods"}},
        "network.existing.servicesRange",
        ["the same as `podsRange`"],
    ),
    ({**OTHERS, f"{NET}/existing": {**OWNED_GKE, "grant": True}}, "network.existing.grant", ["name the `hostProject`"]),
    ({**OTHERS, f"{NET}/existing": OWNED_GKE, f"{NET}/zones": ["us-east1-b"]}, "network.zones[0]", ["us-central1"]),
]

_CLUSTER: list[tuple[dict[str, Any], str, list[str]]] = [
    ({f"{CLUSTER}/location": "us-east1"}, "cluster.location", ["us-central1 (regional)"]),
    ({f"{CLUSTER}/podsPerNode": 300}, "cluster.podsPerNode", ["8 to 256"]),
    (
        {f"{CLUSTER}/version": "1.35.7-gke.1222000"},
        "cluster.version",
        ["which the release channel chooses", "write 1.35"],
    ),
    ({f"{CLUSTER}/version": "1.12"}, "cluster.version", ["unknown minor", "1.34, 1.35, 1.36", "write 1.36"]),
    ({f"{CLUSTER}/version": "1.37"}, "cluster.version", ["not in the release channel REGULAR", "RAPID"]),
    ({f"{CLUSTER}/publicAccessCidrs": ["10.0.0.0/8"]}, "cluster.publicAccessCidrs[0]", ["privateAccessCidrs"]),
    ({f"{CLUSTER}/privateAccessCidrs": ["8.8.8.0/24"]}, "cluster.privateAccessCidrs[0]", ["publicAccessCidrs"]),
    ({f"{CLUSTER}/dnsEndpoint": "yes"}, "cluster.dnsEndpoint", ["true or false"]),
    ({f"{CLUSTER}/maintenance": {"days": ["Sunday"]}}, "cluster.maintenance.days[0]", ["MO, TU"]),
    ({f"{CLUSTER}/maintenance": {"hours": 5}}, "cluster.maintenance.hours", ["write 6"]),
    ({f"{CLUSTER}/maintenance": {"hold": "everything"}}, "cluster.maintenance.hold", ["nodes, minor, nothing"]),
    (
        {f"{CLUSTER}/maintenance": {"exclusions": {"x": {"first": "2027-01-01", "last": "2027-06-01"}}}},
        "cluster.maintenance.exclusions.x.last",
        ["90 days", "scope: nodes"],
    ),
    # A day without quotes, as the engine passes it.
    (
        {
            f"{CLUSTER}/maintenance": {
                "exclusions": {"x": {"first": "2027-01-02 00:00:00 +0000 UTC", "last": "2027-01-31"}}
            }
        },
        "cluster.maintenance.exclusions.x.first",
        ["not a valid day", 'write it in quotes: "2027-01-02"'],
    ),
    (
        {f"{CLUSTER}/maintenance": {"exclusions": {"x": {"first": "20270101", "last": "2027-01-05"}}}},
        "cluster.maintenance.exclusions.x.first",
        ["not a valid day", "YYYY-MM-DD"],
    ),
    (
        {f"{CLUSTER}/maintenance": {"exclusions": EXCLUSIONS}},
        "cluster.maintenance.exclusions.b",
        ["48 hours for upgrades in the 92 days"],
    ),
    ({f"{CLUSTER}/maintenance": {"exclusion": {}}}, "cluster.maintenance.exclusion", ["unknown key", "exclusions"]),
    ({f"{CLUSTER}/secretsKey": KEY}, "cluster.secretsKey", ["is in europe-west4", "write new"]),
    ({f"{CLUSTER}/logTypes": ["WORKLOADS"]}, "cluster.logTypes", ["add SYSTEM_COMPONENTS"]),
    ({f"{CLUSTER}/logTypes": ["api"]}, "cluster.logTypes[0]", ["WORKLOADS, APISERVER"]),
    (
        {f"{CLUSTER}/metricTypes": ["SYSTEM_COMPONENTS", "DCGM"]},
        "cluster.metricTypes[1]",
        ["write `managedDcgm: true`"],
    ),
    ({f"{CLUSTER}/metricTypes": []}, "cluster.metricTypes", ["write [SYSTEM_COMPONENTS]", "`managedDcgm: false`"]),
    ({f"{CLUSTER}/logDays": 30}, "cluster.logDays", ["environments on aws only"]),
    ({f"{CLUSTER}/access": {}}, "cluster.access", ["environments on aws only"]),
    ({f"{CLUSTER}/version": 1.35}, "cluster.version", ['put it in quotes: "1.35"']),
    ({"gpuyard:tags": {"goog-team": "ml"}}, "tags.goog-team", ["Google reserves keys"]),
    ({"gpuyard:tags": {f"key-{n}": "v" for n in range(48)}}, "tags", ["up to 48"]),
    ({"gpuyard:tags": {"Team": "ml"}}, "tags.Team", ["not a valid label key of Google Cloud", "write team"]),
]

# field case G11: add-ons that are installed only on EKS
_ADDONS: list[tuple[dict[str, Any], str, list[str]]] = [
    (
        {"gpuyard:addons": {key: value}},
        f"addons.{key}",
        ["environments on aws only", "`alerts`, `dashboards`, `stateMetrics`, `cleanup`"],
    )
    for key, value in {
        "devicePlugin": False,
        "efaPlugin": False,
        "clusterAutoscaler": False,
        "scaleDownAfterMinutes": 3,
        "dcgmExporter": False,
        "monitoring": False,
    }.items()
]

# reliability case R13: labels of Google Cloud are narrower than tags
_TAGS: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"gpuyard:tags": {key: value}}, f"tags.{key}", [words])
    for key, value, words in (
        ("goog-team", "a", "Google reserves keys"),
        ("team", "\U0001f680", "write another"),
        ("\U0001f680", "a", "write another"),
        ("", "a", "write another"),
        ("Team", "a", "write team"),
        ("team", "ML Platform", "write ml-platform"),
        ("team", "a" * 64, "up to 63"),
        ("aws:team", "a", "write aws-team"),
        ("kubernetes.io/cluster/x", "owned", "write kubernetes-io-cluster-x"),
        ("größe", "a", "lower-case letter"),
    )
]
_TAGS.append(({"gpuyard:tags": {f"key-{number}": "a" for number in range(60)}}, "tags", ["up to 48"]))

# reliability case R15: names that a GKE cluster cannot have
_NAMES: list[tuple[dict[str, Any], str, list[str]]] = [
    ({f"{CLUSTER}/name": name}, "cluster.name", ["1 to 40"])
    for name in ("größe", "-abc", "abc-", "Abc", "", "a_b", "1abc", "a" * 41)
]

_STORAGE: list[tuple[dict[str, Any], str, list[str]]] = [
    ({STORAGE: {"filestoreTier": "gold"}}, "storage.filestoreTier", ["zonal"]),
    ({STORAGE: {"filestoreMultishare": True}}, "storage.filestoreMultishare", ["filestoreTier: enterprise"]),
    ({STORAGE: {"filestore": {"namespace": "ml"}}}, "storage.filestore.zone", ["us-central1-a, us-central1-b"]),
    ({STORAGE: {"filestore": {**FILES, "sizeGib": 1000}}}, "storage.filestore.sizeGib", ["write 1024"]),
    ({STORAGE: {"filestore": {"namespace": "ml", "size": 1024}}}, "storage.filestore.size", ["write `sizeGib`"]),
    (
        {STORAGE: {"filestore": {**FILES, "zone": "us-central1-f"}}},
        "storage.filestore.zone",
        ["not a standard zone of the network"],
    ),
    (
        {STORAGE: {"filestore": {"zone": "us-central1-a"}}},
        "storage.filestore.namespace",
        ["add it"],
    ),  # security case M13
    (
        {STORAGE: {"buckets": {"data": {"bucket": "acme"}}}},
        "storage.buckets.data.namespace",
        ["add it"],
    ),  # security case M1
    ({STORAGE: {"buckets": {"data": {**DATA, "bucket": "gs://x"}}}}, "storage.buckets.data.bucket", ["without gs://"]),
    (
        {STORAGE: {"buckets": {"data": {**DATA, "prefix": "/x"}}}},
        "storage.buckets.data.prefix",
        ["remove a '/' at the beginning"],
    ),
    (
        {STORAGE: {"buckets": {"data": {**DATA, "serviceAccount": "a@b.iam.gserviceaccount.com"}}}},
        "storage.buckets.data.serviceAccount",
        ["not the e-mail address"],
    ),
    ({STORAGE: {"buckets": {"data": {**DATA, "namespace": "ML"}}}}, "storage.buckets.data.namespace", ["63"]),
    (
        {STORAGE: {"buckets": {"data": {**DATA, "prefix": "a/../b"}}}},
        "storage.buckets.data.prefix",
        ["'..' as folders"],
    ),
    ({STORAGE: {"backups": True}}, "storage.backups", ["environments on aws"]),
    ({STORAGE: {"lustre": {"zone": "us-central1-a"}}}, "storage.lustre", ["environments on aws only"]),
    (
        {f"{CLUSTER}/version": "1.34", "gpuyard:nodePools/gpu-workers/machineTypes": ["g4-standard-48"]},
        "storage",
        ["persistent disks only", "write 1.35"],
    ),
]

MISTAKES = [
    *(("dev-gke", *mistake) for mistake in _PROJECT),
    *(
        ("dev-gke", changes, f"gpuyard:{path}", words)
        for changes, path, words in (*_NETWORK, *_CLUSTER, *_NAMES, *_TAGS, *_ADDONS, *_STORAGE)
    ),
]
