"""The providers of the stack; no other module creates any. The stacks' files disable default providers: a resource
without one of these fails, instead of being created in the account that the shell is logged in to."""

import pulumi

from components import hardware

from .environment import Environment


def aws(environment: Environment) -> list[pulumi.ProviderResource]:
    """Amazon's providers, with all `aws:` keys of the stack's file (region, allowed accounts, profile, role, …) and the
    environment's tags on everything."""
    import pulumi_aws
    import pulumi_eks

    account = pulumi_aws.Provider(
        "aws",
        **environment.keys.provider_args(hardware.AWS),
        default_tags=pulumi_aws.ProviderDefaultTagsArgs(tags=environment.tags),
    )
    return [account, pulumi_eks.Provider("eks")]


def gcp(environment: Environment) -> list[pulumi.ProviderResource]:
    """Google's provider, with all `gcp:` keys of the stack's file (project, region, impersonated account, …) and the
    environment's labels on everything."""
    import pulumi_gcp

    keys = environment.keys.provider_args(hardware.GCP)
    return [pulumi_gcp.Provider("gcp", **keys, default_labels=environment.tags)]


def kubernetes(
    environment: Environment, kubeconfig: pulumi.Input[str], cluster_name: pulumi.Input[str]
) -> pulumi.ProviderResource:
    """The provider for resources in the cluster. It identifies the cluster by its name, so that a new endpoint or
    certificate in the kubeconfig does not replace these resources."""
    import pulumi_kubernetes

    return pulumi_kubernetes.Provider(
        "kubernetes",
        kubeconfig=kubeconfig,
        cluster_identifier=cluster_name,
        enable_server_side_apply=True,
        suppress_deprecation_warnings=False,
    )


def python() -> pulumi.ProviderResource:
    """The provider of dynamic resources, which run in this program's Python. It is explicit, because with "*" among the
    disabled default providers the engine creates none for them either."""
    return pulumi.ProviderResource("pulumi-python", "python", {})
