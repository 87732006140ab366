"""Keys for a GKE cluster's secrets."""

from __future__ import annotations

import pytest

from tests.component.gke_cluster import CLUSTER, KEY, cluster, inputs


class TestSecrets:
    def test_secrets_are_not_encrypted_with_a_customer_key_by_default(self) -> None:
        """If the field were omitted, the provider would keep the old value: a cluster encrypted with a key that is then
        destroyed."""
        assert inputs()["databaseEncryption"] == {"state": "DECRYPTED"} and not cluster().all("CryptoKey")

    @pytest.mark.parametrize("preview", [True, False])
    def test_a_new_key_is_rotated_and_gke_can_use_it_before_the_cluster_exists(self, preview: bool) -> None:
        made = cluster(preview, secrets_key="new", tags={"team": "vision"})
        key, user = made.one("CryptoKey"), made.one("CryptoKeyIAMMember")
        assert key.inputs["rotationPeriod"] == "7776000s" and key.inputs["labels"] == {"team": "vision"}
        assert key.options["protect"] is True
        assert key.inputs["destroyScheduledDuration"] == "2592000s", "a deletion can be undone for 30 days"
        if not preview:
            assert key.inputs["keyRing"] == made.one("KeyRing").id
        assert user.inputs["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"
        assert made.one("KeyRing").inputs["location"] == "us-central1"
        # terraform-provider-google#1214: a ring outlives its environment; the next one gets another name.
        assert "name" not in made.one("KeyRing").inputs and "name" not in made.one("CryptoKey").inputs
        for first in (key, user):
            assert made.must_outlive(first, made.one(CLUSTER)), first
        if not preview:
            assert user.inputs["member"] == (
                "serviceAccount:service-123456@container-engine-robot.iam.gserviceaccount.com"
            )
            assert made.one(CLUSTER).inputs["databaseEncryption"] == {"state": "ENCRYPTED", "keyName": key.id}

    def test_a_zonal_cluster_has_its_key_in_the_region(self) -> None:
        assert cluster(secrets_key="new", location="us-central1-a").one("KeyRing").inputs["location"] == "us-central1"

    def test_an_existing_key_is_used(self) -> None:
        made = cluster(secrets_key=KEY, deletion_protection=False)
        assert not made.all("CryptoKey") and not made.all("KeyRing")
        assert made.one("CryptoKeyIAMMember").inputs["cryptoKeyId"] == KEY
        assert made.one(CLUSTER).inputs["databaseEncryption"]["keyName"] == KEY
