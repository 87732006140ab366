"""Roles of Kubernetes service accounts on Google Cloud."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.gcp.cluster import GkeCluster
from components.gcp.identity import WorkloadIdentity
from recording.recorder import run
from recording.recording import Recording
from tests.component.gke_cluster import CLUSTER, DEFAULTS
from tests.component.stage import gcp_options


def identity(preview: bool = False, **args: Any) -> Recording:
    """A recorded WorkloadIdentity called `id`, after a cluster."""

    def program() -> None:
        options = gcp_options()
        made = GkeCluster("c", DEFAULTS, options)  # type: ignore[arg-type]
        usual = {"project": "gpuyard-project", "cluster": made.cluster_name, "namespace": "ml"}
        given = WorkloadIdentity("id", {**usual, "service_account": "trainer", **args}, options)  # type: ignore[typeddict-item]
        pulumi.export("principal", given.principal)

    return run(program, preview=preview)


PRINCIPAL = (
    "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gpuyard-project.svc.id.goog"
    "/subject/ns/ml/sa/trainer"
)


class TestWorkloadIdentity:
    def test_roles_are_granted_to_the_kubernetes_account_without_a_key(self) -> None:
        """The name of the pool has the project's id, the principal the project's number."""
        made = identity(roles=["roles/pubsub.subscriber"], bucket_roles={"data": ["roles/storage.objectViewer"]})
        project = made.one("gcp:projects/iAMMember:IAMMember", "id-pubsub.subscriber")
        bucket = made.one("BucketIAMMember", "id-data-storage.objectViewer")
        assert project.inputs["member"] == bucket.inputs["member"] == PRINCIPAL == made.exports["principal"]
        assert bucket.inputs["bucket"] == "data"
        assert len(made.all("gcp:serviceaccount/account:Account")) == 1, "that of the nodes"
        assert not made.all("Key") and not made.all("gcp:serviceaccount/iAMMember:IAMMember")

    def test_an_additional_role_does_not_replace_the_identity(self) -> None:
        """If the account were unknown at preview, its users would show as replaced."""
        given: Any = {"project": "gpuyard-project", "cluster": "train", "namespace": "ml", "service_account": "trainer"}
        roles = {"roles": ["roles/pubsub.subscriber"], "bucket_roles": {"data": ["roles/storage.objectViewer"]}}

        def program() -> None:
            pulumi.export("who", WorkloadIdentity("id", {**given, **roles}, gcp_options()).principal)

        assert run(program, preview=True).exports["who"] == PRINCIPAL

    def test_the_identity_depends_on_the_cluster(self) -> None:
        made = identity(roles=["roles/pubsub.subscriber"])
        member = made.one("gcp:projects/iAMMember:IAMMember", "id-pubsub.subscriber")
        assert made.must_outlive(made.one(CLUSTER), member)

    def test_a_preview_of_a_new_project_looks_nothing_up(self) -> None:
        """Its APIs are not enabled yet, so the project's number cannot be looked up."""
        made = identity(preview=True, roles=["roles/pubsub.subscriber"])
        assert made.invokes == [] and len(made.all("gcp:projects/iAMMember:IAMMember")) == 4

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"namespace": "ML"}, "namespace", "lower-case"),
            ({"service_account": "trainer@p.iam.gserviceaccount.com"}, "service_account", "not the e-mail address"),
            ({"roles": ["pubsub.subscriber"]}, "roles[0]", "write roles/pubsub.subscriber"),
            ({"roles": ["subscriber"]}, "roles[0]", "gcloud iam roles list"),
            ({"roles": ["roles/editor"]}, "roles[0]", "choose a narrower one"),
            ({"roles": ["roles/viewer"]}, "roles[0]", "basic role"),
            ({"bucket_roles": {"data": ["roles/owner"]}}, "bucket_roles.data[0]", "basic role"),
            ({"bucket_roles": {"gs://data": ["roles/storage.admin"]}}, "bucket_roles.gs://data", "without gs://"),
            ({"roles": ["roles/a.b", "roles/a.b"]}, "roles[1]", "named twice"),
            ({"roles": ["roles/a.b", "projects/p/roles/a.b"]}, "roles[1]", "the same last part as roles/a.b"),
            (
                {"bucket_roles": {"data": ["roles/a.b", "organizations/1/roles/a.b"]}},
                "bucket_roles.data[1]",
                "last part",
            ),
        ],
    )
    def test_basic_or_invalid_roles_are_refused(self, args: dict[str, Any], path: str, words: str) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            identity(**args)
        assert f"  {path} = " in str(caught.value) and words in str(caught.value), caught.value
