"""What only this stack does: its config, its providers, and how the library's components are wired on each cloud."""
