"""The stack around the library: its config, its providers, and how the components are wired on each cloud."""
