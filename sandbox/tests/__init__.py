"""Tests of the sandbox itself; those of the library that only run on it are in `tests/`."""
