"""The package of `ClusterCleanup` in gpuyard 0.1, which the state of a stack names."""
