"""Filestore instances, Cloud Storage buckets, and the keys that encrypt them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sandbox.gcp import machines
from sandbox.gcp.mapping import WRAPPED, Names
from sandbox.gcp.rows.compute import OWN
from sandbox.gcp.rows.node_pool import location
from sandbox.gcp.store import ApiError, Body
from sandbox.gcp.table import AutoName, Behaviour, Context, Row, full_name, number, paths, timestamp
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props

_CAPACITY_GB = {
    # Minimum size of each tier (Filestore: "Service tiers").
    "STANDARD": 1024,
    "BASIC_HDD": 1024,
    "PREMIUM": 2560,
    "BASIC_SSD": 2560,
    "HIGH_SCALE_SSD": 10240,
    "ZONAL": 1024,
    "REGIONAL": 1024,
    "ENTERPRISE": 1024,
}
_REGIONAL_TIERS = ("REGIONAL", "ENTERPRISE")


class _Filestore(Behaviour):
    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        for network in body["networks"]:
            ctx.store.get("compute.networks", full_name("compute.networks", network["network"], inputs))
            host = int(number(row.resource_name(inputs))) % 250 + 2
            network["ipAddresses"] = [f"10.255.{host}.2"]
            network.setdefault("reservedIpRange", f"10.255.{host}.0/29")
        return super().create(ctx, row, inputs, body)

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        known = ctx.store.get(row.collection, row.resource_name(inputs))["networks"]
        networks = [{**before, **network} for before, network in zip(known, new["networks"], strict=False)]
        return super().update(ctx, row, inputs, old, {**new, "networks": networks})

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        if (self.find(ctx, row, place) or {}).get("deletionProtectionEnabled"):
            raise ApiError(
                400, "Instance deletion is prevented: deletion_protection_enabled is true.", "failedPrecondition"
            )
        super().delete(ctx, row, place)

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        served = super().served(ctx, row, inputs, name)
        return served | {"name": name, "state": "READY", "createTime": timestamp(), "etag": number(name)[:8]}

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        steps = body["name"].split("/")
        return {"name": steps[-1], "location": steps[3], "zone": steps[3]}


def _check_filestore(inputs: Props) -> Iterator[CheckFailure]:
    tier, place = inputs.get("tier"), inputs.get("location")
    share = inputs.get("fileShares") or {}
    size = share.get("capacityGb") if share is not UNKNOWN else None
    if tier not in _CAPACITY_GB:
        if tier is not UNKNOWN:
            yield CheckFailure("tier", f"Invalid value '{tier}'. Must be one of: {', '.join(_CAPACITY_GB)}")
        return
    if isinstance(size, int) and size < _CAPACITY_GB[tier]:
        yield CheckFailure("fileShares.capacityGb", f"tier {tier} needs at least {_CAPACITY_GB[tier]} GiB, not {size}")
    if isinstance(place, str) and not location(place):
        if tier in _REGIONAL_TIERS and machines.is_zone(place):
            yield CheckFailure("location", f"tier {tier} is regional: use {machines.region_of(place)}")
        if tier not in _REGIONAL_TIERS and not machines.is_zone(place):
            yield CheckFailure("location", f"tier {tier} is zonal: use one of {', '.join(machines.ZONES[place])}")
    networks = inputs.get("networks")
    if isinstance(networks, list) and len(networks) != 1:
        yield CheckFailure("networks", "exactly one network is needed")


class _Bucket(Behaviour):
    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        try:
            return super().create(ctx, row, inputs, body)
        except ApiError as error:
            if error.code != 409:
                raise
            raise ApiError(
                409, "Your previous request to create the named bucket succeeded and you already own it.", "conflict"
            ) from None

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        return super().served(ctx, row, inputs, name) | {
            "location": str(inputs["location"]).upper(),
            "selfLink": f"https://www.googleapis.com/storage/v1/{name}",
            "timeCreated": timestamp(),
            "updated": timestamp(),
            "projectNumber": number(str(inputs["project"]))[:12],
        }

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        return {
            "url": f"gs://{body['name']}",
            "selfLink": body["selfLink"],
            "projectNumber": int(body["projectNumber"]),
        }


def bucket_name(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z0-9][-_.a-z0-9]{1,220}[a-z0-9]", value) and "google" not in value:
        return ""
    return f"Invalid bucket name: '{value}'"


class _Key(Behaviour):
    """Keys and key rings cannot be deleted in Google Cloud; destroying one only removes it from Pulumi's state."""

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        name = row.resource_name(place)
        if row.collection == "cloudkms.cryptoKeys":
            ctx.store.update(row.collection, name, lambda body: {**body, "primary": {"state": "DESTROY_SCHEDULED"}})

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        served = super().served(ctx, row, inputs, name) | {"name": name, "createTime": timestamp()}
        if row.collection == "cloudkms.cryptoKeys":
            served["primary"] = {"name": f"{name}/cryptoKeyVersions/1", "state": "ENABLED"}
        return served

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        outputs: Props = {"name": body["name"].rsplit("/", 1)[-1]}
        if "primary" in body:
            outputs["primaries"] = [body["primary"]]
        return outputs


def rotation(value: Any) -> str:
    seconds = float(value[:-1]) if re.fullmatch(r"\d+(\.\d+)?s", str(value)) else -1
    return "" if seconds >= 86400 else f"'{value}' must be seconds with the unit and at least a day: '86400s'"


ROWS = [
    Row(
        token="gcp:filestore/instance:Instance",
        kind="Instance",
        api="file.v1",
        schema="Instance",
        collection="file.instances",
        name="projects/{project}/locations/{location}/instances/{name}",
        names=Names(
            {
                **OWN,
                "location": None,
                "zone": None,
                "name": None,
                "desiredReplicaState": None,
                "effectiveReplications": None,
                "initialReplication": "replication",
                "performanceConfig.fixedIops.maxIops": "maxIops",
            },
            {"fileShares": WRAPPED},
        ),
        replaces=paths(
            """
            name location zone project fileShares.name fileShares.sourceBackup fileShares.sourceBackupdrBackup
            tier networks networks.modes networks.network networks.connectMode networks.pscConfig.endpointProject
            initialReplication kmsKeyName protocol tags tags.*
            """
        ),
        defaults={"protocol": "NFS_V3"},
        places=("project", "location"),
        autoname=AutoName(most=255),
        references={"kmsKeyName": "cloudkms.cryptoKeys", "networks.network": "compute.networks"},
        labels="labels",
        checks={"location": location},
        validate=_check_filestore,
        behaviour=_Filestore(),
    ),
    Row(
        token="gcp:storage/bucket:Bucket",
        kind="Bucket",
        api="storage.v1",
        schema="Bucket",
        collection="storage.buckets",
        name="b/{name}",
        id="{name}",
        names=Names(
            {
                **OWN,
                "forceDestroy": None,
                "enableObjectRetention": None,
                "corss": "cors",
                "cors": "cors",
                "cors.origins": "origin",
                "cors.methods": "method",
                "cors.responseHeaders": "responseHeader",
                "lifecycleRules": "lifecycle.rule",
                "lifecycleRules.condition.matchesPrefixes": "matchesPrefix",
                "lifecycleRules.condition.matchesStorageClasses": "matchesStorageClass",
                "lifecycleRules.condition.matchesSuffixes": "matchesSuffix",
                "lifecycleRules.condition.withState": "isLive",
                "lifecycleRules.condition.sendAgeIfZero": None,
                "lifecycleRules.condition.sendDaysSinceCustomTimeIfZero": None,
                "lifecycleRules.condition.sendDaysSinceNoncurrentTimeIfZero": None,
                "lifecycleRules.condition.sendNumNewerVersionsIfZero": None,
                "publicAccessPrevention": "iamConfiguration.publicAccessPrevention",
                "requesterPays": "billing.requesterPays",
                "uniformBucketLevelAccess": "iamConfiguration.uniformBucketLevelAccess.enabled",
            },
            {
                "lifecycleRules.condition.withState": (
                    lambda state: {"LIVE": True, "ARCHIVED": False}.get(state),
                    lambda live: "LIVE" if live else "ARCHIVED",
                )
            },
        ),
        replaces=paths(
            """
            name location project enableObjectRetention customPlacementConfig.dataLocations hierarchicalNamespace
            hierarchicalNamespace.enabled
            """
        ),
        defaults={"storageClass": "STANDARD", "forceDestroy": False},
        autoname=AutoName(most=222),
        references={"encryption.defaultKmsKeyName": "cloudkms.cryptoKeys"},
        labels="labels",
        checks={"name": bucket_name},
        behaviour=_Bucket(),
    ),
    Row(
        token="gcp:kms/keyRing:KeyRing",
        kind="KeyRing",
        api="cloudkms.v1",
        schema="KeyRing",
        collection="cloudkms.keyRings",
        name="projects/{project}/locations/{location}/keyRings/{name}",
        names=Names({**OWN, "location": None, "name": None}),
        replaces=paths(
            """
            name location project
            """
        ),
        autoname=AutoName(most=255),
        behaviour=_Key(),
    ),
    Row(
        token="gcp:kms/cryptoKey:CryptoKey",
        kind="CryptoKey",
        api="cloudkms.v1",
        schema="CryptoKey",
        collection="cloudkms.cryptoKeys",
        name="{keyRing}/cryptoKeys/{name}",
        names=Names({**OWN, "name": None, "keyRing": None, "skipInitialVersionCreation": None}),
        replaces=paths(
            """
            name keyRing cryptoKeyBackend destroyScheduledDuration importOnly purpose skipInitialVersionCreation
            versionTemplate.protectionLevel
            """
        ),
        defaults={"purpose": "ENCRYPT_DECRYPT"},
        places=(),
        autoname=AutoName(most=255),
        references={},
        labels="labels",
        checks={"rotationPeriod": rotation},
        behaviour=_Key(),
    ),
]
