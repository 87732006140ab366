"""The part of `every_field.py` for Google Cloud."""

from __future__ import annotations

from typing import Any

from tests.config import queues

GKE_CPU = {"machineTypes": ["n2-standard-8"], "min": 1, "max": 2}
PLATFORMS = dict.fromkeys(
    ("jobSet", "leaderWorkerSet", "keda", "kubeflowTrainer", "argoWorkflows", "certManager", "kserve"), True
)

GKE: dict[str, Any] = {
    "gcp:impersonateServiceAccount": "deployer@my-project.iam.gserviceaccount.com",
    "gcp:billingProject": "my-bill",
    "gpuyard:network": {
        "cidr": "10.0.0.0/20",
        "zones": ["us-central1-a", "us-central1-b"],
        "nat": "single",
        "podsCidr": "10.64.0.0/14",
        "servicesCidr": "10.68.0.0/20",
        "furtherPodsCidrs": {"more": "100.64.0.0/16"},
        "flowLogPercent": 10,
    },
    "gpuyard:cluster": {
        "name": "train",
        "version": "1.35",
        "publicAccessCidrs": ["8.8.8.0/24"],
        "privateAccessCidrs": ["10.0.0.0/16"],
        "location": "us-central1",
        "podsPerNode": 64,
        "dnsEndpoint": True,
        "releaseChannel": "REGULAR",
        "maintenance": {
            "days": ["SA", "SU"],
            "start": "02:00",
            "hours": 6,
            "hold": "nodes",
            "exclusions": {"launch": {"first": "2026-12-20", "last": "2027-01-03", "scope": "all"}},
        },
        "secretsKey": "new",
        "disksKey": "projects/my-project/locations/us-central1/keyRings/ring/cryptoKeys/disks",
        "logTypes": ["SYSTEM_COMPONENTS"],
        "metricTypes": ["SYSTEM_COMPONENTS"],
        "managedDcgm": True,
        "autoscalingProfile": "balanced",
        "gatewayApi": "standard",
        "dns": "cloud_dns",
        "binaryAuthorization": True,
        "groupsDomain": "example.com",
    },
    "gpuyard:nodePools": {
        "home": {
            **GKE_CPU,
            "upgrade": {"strategy": "blue_green", "batchPercentage": 10, "batchSoakSeconds": 1, "soakSeconds": 1},
        },
        "cpu": {
            **GKE_CPU,
            "labels": {"team": "ml"},
            "taints": [{"key": "team", "value": "ml", "effect": "NoSchedule"}],
            "capacity": ["on_demand"],
            "zones": ["us-central1-a"],
            "perZone": True,
            "diskGib": 100,
            "diskType": "pd-ssd",
            "podsPerNode": 32,
            "podsRange": "more",
            "sysctls": {"net.core.somaxconn": "4096"},
            "hugePages": {"twoMib": 1024, "oneGib": 0},
            "cpuManager": "static",
            "secondaryBootDisk": {"image": "projects/my-project/global/images/models", "mode": "data"},
            "upgrade": {"strategy": "surge", "maxSurge": 1, "maxUnavailable": 0},
            "was": "old",
            "acceptWithdrawn": False,
        },
        "gpu": {
            "machineTypes": ["n1-standard-8"],
            "min": 0,
            "max": 4,
            "accelerator": {"type": "nvidia-tesla-t4", "count": 1},
            "driver": "latest",
            "sharing": {"strategy": "time_sharing", "clients": 2},
            "scratch": True,
            "localSsds": 1,
            "capacity": ["spot"],
            "spotGraceSeconds": 30,
            "nodeRepair": True,
            "imageStreaming": True,
        },
        "block": {
            "machineTypes": ["a3-ultragpu-8g"],
            "min": 0,
            "max": 2,
            "capacity": ["reserved"],
            "zones": ["us-central1-b"],
            "reservation": {"name": "h200", "project": "owner-1", "block": "b-1", "subBlock": "s-2"},
            "interconnect": True,
            "placement": True,
            "placementPolicy": "close",
        },
        "queue": {
            "machineTypes": ["a2-highgpu-1g"],
            "min": 0,
            "max": 2,
            "capacity": ["flex"],
            "queued": True,
            "partition": "1g.5gb",
        },
        "short": {"machineTypes": ["g2-standard-8"], "min": 0, "max": 2, "capacity": ["flex"], "maxRunSeconds": 3600},
    },
    "gpuyard:storage": {
        "filestoreTier": "zonal",
        "filestoreMultishare": False,
        "filestore": {
            "namespace": "training",
            "claim": "files",
            "tier": "zonal",
            "sizeGib": 1024,
            "zone": "us-central1-a",
        },
        "buckets": {
            "data": {
                "bucket": "acme-data",
                "prefix": "train/",
                "writable": True,
                "namespace": "training",
                "serviceAccount": "trainer",
                "claim": "data",
                "hostNetwork": True,
            }
        },
    },
    "gpuyard:teams": {
        "training": {
            "namespace": "train",
            "podSecurity": "restricted",
            "members": {
                "admin": ["user:lead@example.com"],
                "edit": ["group:ml@example.com"],
                "view": ["serviceAccount:ci@my-project.iam.gserviceaccount.com"],
            },
            "quota": {
                "cpu": 96,
                "memoryGib": 512,
                "gpus": 8,
                "pods": 100,
                "claims": 10,
                "storageGib": 1000,
                "loadBalancers": 1,
            },
            "limits": {"cpuMillicores": 500, "memoryMib": 1024, "maxCpu": 48, "maxMemoryGib": 256, "maxClaimGib": 500},
            "network": {
                "internet": True,
                "egressCidrs": ["10.9.0.0/24"],
                "apiServer": True,
                "ingressNamespaces": ["gateway"],
                "ingressCidrs": ["10.0.0.0/24"],
            },
            "serviceAccount": "trainer",
            "role": {"buckets": ["data"], "roles": ["roles/pubsub.subscriber"]},
            "deletionProtection": False,
            "weight": 2,
            "guaranteed": {"gpu": 1},
        },
        "inference": {},
    },
    "gpuyard:queues": queues.EVERY,
    "gpuyard:addons": {"alerts": True, "dashboards": True, "cleanup": True},
    "gpuyard:platforms": PLATFORMS,
    "gpuyard:tags": {"team": "ml"},
    "gpuyard:deletionProtection": False,
}

GKE_OF_OTHERS: dict[str, Any] = {
    "gpuyard:network": {
        "zones": ["us-central1-a"],
        "existing": {
            "network": "shared",
            "subnetwork": "gpus",
            "hostProject": "host-project",
            "podsRange": "pods",
            "servicesRange": "services",
            "furtherPodsRanges": ["more"],
            "grant": True,
        },
    },
    "gpuyard:nodePools": {"home": GKE_CPU},
}
