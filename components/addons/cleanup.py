"""The module that the state of a stack of gpuyard 0.1 names: a destroy without an `up` before it loads it."""

from ..cleanup.component import _Provider as _Provider
