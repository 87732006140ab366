"""Helm releases that run on a cluster of either cloud, one per module."""
