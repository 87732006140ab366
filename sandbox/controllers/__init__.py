"""The controllers that a cluster's charts install and that really run here: Kueue, JobSet, KEDA, Prometheus."""
