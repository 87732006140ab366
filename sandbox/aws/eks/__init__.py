"""Amazon EKS as the sandbox simulates it: the API of botocore's model, clusters with real control planes, real node
groups."""
