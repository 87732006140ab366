"""The module that the state of a gpuyard 0.1 stack names. A destroy loads it if no `up` ran before."""

from ..cleanup.component import _Provider as _Provider
