"""Figures of the sandbox, each beside a floor measured in the same run. Never timed tests."""
