"""The stack on Google GKE: config, checks, wiring, changes."""
