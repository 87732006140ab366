"""Where the pools of the example `dev` stand in its file, and how an error names them."""

GPU = "gpuyard:nodePools/gpu-workers"
GPUS = "gpuyard:nodePools.gpu-workers"
CPU = "gpuyard:nodePools/cpu-workers"
