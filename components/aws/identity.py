"""AWS permissions of what runs in the cluster: one IAM role per Kubernetes service account, by EKS Pod Identity."""

import json
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import naming


class PodIdentityArgs(TypedDict):
    """`cluster`, `namespace`, `service_account`: who may take the role, and nobody else. `policy_arns`:
    AWS-managed policies; `policy`: a policy document of our own. `associate`: False when the EKS add-on makes the
    association. `role_arn`: a role that is there already, instead of a new one with these policies."""

    cluster: pulumi.Input[str]
    namespace: str
    service_account: str
    policy_arns: NotRequired[list[str]]
    policy: NotRequired[pulumi.Input[dict[str, Any]]]
    associate: NotRequired[bool]
    role_arn: NotRequired[pulumi.Input[str]]
    tags: NotRequired[dict[str, str]]


def trust_policy(cluster_arn: str, namespace: str, service_account: str) -> dict[str, Any]:
    """Trust in EKS Pod Identity, for one service account of one cluster, which its ARN tells from those of the same
    name in other accounts and regions. EKS sets the session tags; they are what its user guide documents for this
    ("Grant Pods access to AWS resources based on tags")."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {
                        "aws:RequestTag/eks-cluster-arn": cluster_arn,
                        "aws:RequestTag/kubernetes-namespace": namespace,
                        "aws:RequestTag/kubernetes-service-account": service_account,
                    }
                },
            }
        ],
    }


class PodIdentity(pulumi.ComponentResource):
    """A role that one Kubernetes service account of one cluster takes. No keys, no OIDC provider, no node role.

    What uses the role `depends_on` the component: it then never starts without its permissions.
    """

    role_arn: pulumi.Output[str]
    """ARN of the role."""

    def __init__(self, name: str, args: PodIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:PodIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        ready = args.get("role_arn")
        role_arn = self._role(name, args) if ready in (None, "") else pulumi.Output.from_input(ready)
        if args.get("associate", True):
            aws.eks.PodIdentityAssociation(
                f"{name}-association",
                cluster_name=args["cluster"],
                namespace=args["namespace"],
                service_account=args["service_account"],
                role_arn=role_arn,
                tags=args.get("tags", {}),
                opts=child,
            )
        self.role_arn = role_arn
        self.register_outputs({"roleArn": self.role_arn})

    def _role(self, name: str, args: PodIdentityArgs) -> pulumi.Output[str]:
        child = pulumi.ResourceOptions(parent=self)
        cluster, namespace, account = args["cluster"], args["namespace"], args["service_account"]
        asked = pulumi.InvokeOutputOptions(parent=self)
        arn = pulumi.Output.format(
            "arn:aws:eks:{}:{}:cluster/{}",
            aws.get_region_output(opts=asked).region,
            aws.get_caller_identity_output(opts=asked).account_id,
            cluster,
        )
        role = aws.iam.Role(
            f"{name}-role",
            name_prefix=f"{naming.fit(name, naming.IAM_ROLE_LIMIT - 26 - 1)}-",
            description=pulumi.Output.concat(f"{namespace}/{account} in the EKS cluster ", cluster),
            assume_role_policy=arn.apply(lambda found: json.dumps(trust_policy(found, namespace, account))),
            tags=args.get("tags", {}),
            opts=child,
        )
        for given in args.get("policy_arns", []):
            label = f"{name}-{given.rsplit('/', 1)[-1]}"
            aws.iam.RolePolicyAttachment(label, role=role.name, policy_arn=given, opts=child)
        policy = args.get("policy")
        if policy is not None:
            aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=pulumi.Output.json_dumps(policy), opts=child)
        return role.arn
