"""gpuyard's sandbox: simulated clouds and real Kubernetes control planes on one machine."""

import importlib.util
import sys

# In a clone the library is the folder `components`. Installed, it is the package `gpuyard`.
if importlib.util.find_spec("components") is None:
    import gpuyard  # pyrefly: ignore[missing-import]

    sys.modules["components"] = gpuyard
