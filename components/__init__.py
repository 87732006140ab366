"""gpuyard's component library: ML-ready Kubernetes on Amazon EKS and Google GKE.

Import the component you need from its own module, for example

    from gpuyard.aws.network import AwsNetwork      # installed as `gpuyard`
    from components.aws.network import AwsNetwork   # inside this repository

Nothing is imported here, so that a stack on one cloud never loads the SDK of the other.
"""
