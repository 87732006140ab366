"""The paths of the pools of the example `dev` in its file, and in an error."""

GPU = "gpuyard:nodePools/gpu-workers"
GPUS = "gpuyard:nodePools.gpu-workers"
CPU = "gpuyard:nodePools/cpu-workers"
