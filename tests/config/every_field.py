"""Stack files that together have every field, for tests that try a value at each path. Fields that exclude each other
are in different files."""

from __future__ import annotations

from typing import Any

from tests.config import queues

EKS_ADDONS = ["devicePlugin", "efaPlugin", "clusterAutoscaler", "dcgmExporter", "monitoring", "grafana"]
EKS_ADDONS += ["alerts", "dashboards", "cleanup"]
CPU = {"machineTypes": ["m5.2xlarge"], "min": 2, "max": 20}
GKE_CPU = {"machineTypes": ["n2-standard-8"], "min": 1, "max": 2}
ROLE = "arn:aws:iam::123456789012:role"
PLATFORMS = dict.fromkeys(
    ("jobSet", "leaderWorkerSet", "keda", "kubeflowTrainer", "argoWorkflows", "certManager", "kserve"), True
)

TEAM: dict[str, Any] = {
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
}
"""Fields of a team that are the same on both clouds."""

EKS: dict[str, Any] = {
    "aws:allowedAccountIds": ["123456789012"],
    "aws:assumeRoles": [{"roleArn": f"{ROLE}/deployer"}],
    "aws:profile": "work",
    "gpuyard:network": {
        "cidr": "10.0.0.0/16",
        "zones": ["us-east-1a", "us-east-1b"],
        "nat": "single",
        "podsCidr": "100.64.0.0/16",
        "interfaceEndpoints": ["ecr"],
        "flowLogDays": 30,
    },
    "gpuyard:cluster": {
        "name": "train",
        "version": "1.35",
        "publicAccessCidrs": ["8.8.8.0/24"],
        "privateAccessCidrs": ["10.0.0.0/16"],
        "access": {
            "ann.smith": {"principalArn": f"{ROLE}/ann", "level": "edit", "namespaces": ["training"], "groups": ["ml"]}
        },
        "iam": {"path": "/ml/", "permissionsBoundary": "arn:aws:iam::123456789012:policy/limits"},
        "logTypes": ["api"],
        "logDays": 90,
        "addonVersions": {"vpc-cni": "v1.22.4-eksbuild.3"},
        "support": "standard",
        "serviceCidr": "172.20.0.0/16",
        "nodePolicyArns": ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"],
    },
    "gpuyard:nodePools": {
        "cpu": {
            **CPU,
            "labels": {"team": "ml"},
            "capacity": ["spot", "on_demand"],
            "zones": ["us-east-1a"],
            "perZone": True,
            "diskGib": 100,
            "updatePercentage": 33,
            "nodeRepair": True,
            "repair": {
                "maxUnhealthyPercentage": 20,
                "maxParallelPercentage": 50,
            },
            "securityGroupIds": ["sg-0123456789abcdef0"],
            "nodeSettings": {"kubelet": {"config": {"maxPods": 58}, "flags": ["--v=2"]}},
        },
        "gpu": {
            "machineTypes": ["g6.2xlarge"],
            "min": 0,
            "max": 10,
            "release": "1.35.7-20260903",
            "driverBranch": 580,
            "fastImagePull": True,
            "sharing": {"strategy": "time_sharing", "clients": 4},
            "repair": {"xids": {"79": "replace"}, "xidWaitMinutes": 10},
            "accelerator": {"type": "L4", "count": 1},
            "taints": [{"key": "team", "value": "ml", "effect": "NoSchedule"}],
            "was": "old",
            "scratch": True,
            "acceptWithdrawn": False,
        },
        "parts": {
            "machineTypes": ["p4d.24xlarge"],
            "min": 0,
            "max": 1,
            "image": "bottlerocket",
            "partition": "1g.5gb",
        },
        "block": {
            "machineTypes": ["p5.48xlarge"],
            "min": 0,
            "max": 2,
            "interconnect": True,
            "placement": False,
            "capacity": ["reserved"],
            "zones": ["us-east-1a"],
            "reservation": {
                "id": "cr-0123456789abcdef0",
                "capacityBlock": True,
                "nodes": 2,
                "ends": "2027-01-31T11:30:00Z",
            },
        },
        "group": {
            **CPU,
            "capacity": ["reserved"],
            "reservation": {"groupArn": "arn:aws:resource-groups:us-east-1:123456789012:group/ml"},
        },
        "new": {
            "machineTypes": ["p0-every.2xlarge"],
            "min": 0,
            "max": 2,
            "image": "bottlerocket",
            "machine": {
                "arch": "x86_64",
                "vcpu": 8,
                "memoryMib": 65536,
                "gpus": 1,
                "gpu": "X1",
                "gpuMemoryMib": 1024,
                "nvmeGb": 100,
                "nvmeDisks": 1,
                "efa": 1,
                "networkCards": 1,
                "maxPods": 58,
                "spot": True,
                "capacityBlock": False,
                "clusterPlacement": True,
            },
        },
        "own": {"machineTypes": ["m5.large"], "min": 0, "max": 2, "ami": "ami-0123456789abcdef0"},
    },
    "gpuyard:storage": {
        "backups": True,
        "lustre": {
            "zone": "us-east-1a",
            "sizeGib": 1200,
            "throughput": 125,
            "s3": "s3://acme-data/train",
            "exports": ["new"],
            "namespace": "training",
        },
        "buckets": {
            "data": {
                "bucket": "acme-data",
                "prefix": "train/",
                "writable": True,
                "namespace": "training",
                "account": "123456789012",
            }
        },
    },
    "gpuyard:teams": {
        "training": {
            "namespace": "train",
            "podSecurity": "restricted",
            "members": {"admin": [f"{ROLE}/lead"], "edit": [f"{ROLE}/ann"], "view": [f"{ROLE}/guest"]},
            **TEAM,
            "role": {"buckets": ["data"], "policyArns": ["arn:aws:iam::aws:policy/AmazonBedrockReadOnly"]},
            "deletionProtection": False,
            "weight": 2,
            "guaranteed": {"gpu": 1},
        },
        "inference": {},
    },
    "gpuyard:queues": queues.EVERY,
    "gpuyard:addons": {**dict.fromkeys(EKS_ADDONS, True), "scaleDownAfterMinutes": 10, "stalledJobs": "restart"},
    "gpuyard:platforms": PLATFORMS,
    "gpuyard:charts": {
        "mirror": "oci://registry.example.com/charts",
        "digests": {"dcgm-exporter": f"sha256:{'0' * 64}"},
    },
    "gpuyard:images": {
        "registry": "registry.example.com",
        "prefixes": {"quay.io": "quay"},
        "digests": {"nvcr.io/nvidia/k8s-device-plugin:v0.20.0": f"sha256:{'0' * 64}"},
    },
    "gpuyard:tags": {"team": "ml"},
    "gpuyard:deletionProtection": False,
}

EKS_OF_OTHERS: dict[str, Any] = {
    "gpuyard:network": {
        "zones": ["us-east-1a", "us-east-1b"],
        "existing": {
            "vpcId": "vpc-0123456789abcdef0",
            "privateSubnetIds": {"us-east-1a": "subnet-0123456789abcdef0", "us-east-1b": "subnet-0123456789abcdef1"},
            "publicSubnetIds": {"us-east-1a": "subnet-0123456789abcdef2"},
        },
    },
    "gpuyard:cluster": {
        "iam": {
            "roles": {
                name: f"{ROLE}/{name}"
                for name in ("cluster", "nodes", "vpcCni", "ebsCsi", "efsCsi", "fsxCsi", "s3Csi", "clusterAutoscaler")
            }
        }
    },
    "gpuyard:nodePools": {"cpu": CPU},
    "gpuyard:storage": {
        "lustre": {"zone": "us-east-1a"},
        "buckets": {"data": {"bucket": "acme-data", "namespace": "training"}},
    },
}

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
            "reservation": {
                "name": "h200",
                "project": "owner-1",
                "block": "b-1",
                "subBlock": "s-2",
                "nodes": 2,
                "ends": "2027-01-31T11:30:00Z",
            },
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
            **TEAM,
            "role": {"buckets": ["data"], "roles": ["roles/pubsub.subscriber"]},
            "deletionProtection": False,
            "weight": 2,
            "guaranteed": {"gpu": 1},
        },
        "inference": {},
    },
    "gpuyard:queues": queues.EVERY,
    "gpuyard:addons": {"alerts": True, "dashboards": True, "cleanup": True, "stateMetrics": True},
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

FILES = {
    "eks": ("dev", EKS),
    "eks-of-others": ("dev", EKS_OF_OTHERS),
    "gke": ("dev-gke", GKE),
    "gke-of-others": ("dev-gke", GKE_OF_OTHERS),
}
"""Name → the stack whose file it changes, and the new content."""
