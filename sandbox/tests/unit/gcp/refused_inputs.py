"""Inputs that a preview refuses: (type, inputs, path of the error, part of the reason)."""

from __future__ import annotations

from sandbox.tests.unit.gcp.stage import (
    ACCOUNT,
    ADDRESS,
    BUCKET,
    FILESTORE,
    FIREWALL,
    KEY,
    NAT,
    NETWORK,
    PROJECT,
    PROJECT_MEMBER,
    SERVICE,
    SUBNETWORK,
)

BAD = [
    (NETWORK, {"nmae": "net"}, "nmae", "this property does not exist"),
    (NETWORK, {"mtu": "1460"}, "mtu", "whole number"),
    (NETWORK, {"mtu": 100}, "mtu", "between 1300 and 8896"),
    (NETWORK, {"name": "Net"}, "name", "lower-case"),
    (NETWORK, {"routingMode": "LOCAL"}, "routingMode", "Must be one of: GLOBAL, REGIONAL"),
    (SUBNETWORK, {"ipCidrRange": "10.0.0.0/20"}, "network", "is required"),
    (SUBNETWORK, {"network": "n", "ipCidrRange": "10.0.0.1/20"}, "ipCidrRange", "not a valid IP CIDR range"),
    (SUBNETWORK, {"network": "n", "ipCidrRange": "10.0.0.0/20", "region": "mars1"}, "region", "Unknown region"),
    (
        SUBNETWORK,
        {
            "network": "n",
            "ipCidrRange": "10.0.0.0/20",
            "secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.0.8.0/21"}],
        },
        "secondaryIpRanges[0].ipCidrRange",
        "overlaps 10.0.0.0/20",
    ),
    (
        SUBNETWORK,
        {"network": "n", "ipCidrRange": "10.0.0.0/20", "stackType": "IPV5"},
        "stackType",
        "Must be one of",
    ),
    (NAT, {"router": "r", "sourceSubnetworkIpRangesToNat": "ALL"}, "sourceSubnetworkIpRangesToNat", "Must be one of"),
    (
        NAT,
        {
            "router": "r",
            "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
            "natIpAllocateOption": "MANUAL_ONLY",
        },
        "natIps",
        "needs at least one address",
    ),
    (FIREWALL, {"network": "n", "priority": 70000, "sourceRanges": ["10.0.0.0/8"]}, "priority", "between 0 and 65535"),
    (FIREWALL, {"network": "n"}, "", "one of sourceRanges"),
    (
        FIREWALL,
        {
            "network": "n",
            "sourceRanges": ["10.0.0.0/8"],
            "allows": [{"protocol": "tcp"}],
            "denies": [{"protocol": "udp"}],
        },
        "denies",
        "not both",
    ),
    (ADDRESS, {"addressType": "PUBLIC"}, "addressType", "Must be one of"),
    (ACCOUNT, {"accountId": "abc"}, "accountId", "6-30"),
    (PROJECT_MEMBER, {"project": PROJECT, "role": "viewer", "member": "user:a@b.c"}, "role", "not a role"),
    (PROJECT_MEMBER, {"project": PROJECT, "role": "roles/viewer", "member": "a@b.c"}, "member", "not a member"),
    (SERVICE, {"service": "container"}, "service", "not the name of an API"),
    (BUCKET, {"name": "No", "location": "EU"}, "name", "Invalid bucket name"),
    (BUCKET, {"name": "data-x", "location": "EU", "publicAccessPrevention": 1}, "publicAccessPrevention", "a string"),
    (
        FILESTORE,
        {
            "location": "us-central1-a",
            "tier": "ZONAL",
            "fileShares": {"name": "data", "capacityGb": 100},
            "networks": [{"network": "net", "modes": ["MODE_IPV4"]}],
        },
        "fileShares.capacityGb",
        "at least 1024",
    ),
    (
        FILESTORE,
        {
            "location": "us-central1",
            "tier": "ZONAL",
            "fileShares": {"name": "data", "capacityGb": 1024},
            "networks": [{"network": "net", "modes": ["MODE_IPV4"]}],
        },
        "location",
        "us-central1-a",
    ),
    (
        FILESTORE,
        {
            "location": "us-central1-a",
            "tier": "ZONAL",
            "fileShares": {"name": "data", "capacityGb": 1024},
            "networks": [{"network": "net", "modes": ["IPV4"]}],
        },
        "networks[0].modes[0]",
        "Must be one of: MODE_IPV4",
    ),
    (KEY, {"keyRing": "projects/p/locations/l/keyRings/r", "rotationPeriod": "90d"}, "rotationPeriod", "seconds"),
    ("gcp:pubsub/topic:Topic", {}, "", "not simulated"),
    ("gcp:compute/netwrok:Netwrok", {}, "", "no resource type"),
]
