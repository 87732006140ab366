"""The stack on Amazon EKS: config, checks, wiring, changes."""
