"""Where `ClusterCleanup` was in gpuyard 0.1; the state of a stack names it."""
