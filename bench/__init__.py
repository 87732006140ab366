"""Measurements of the sandbox, each compared with a floor from the same run. Tests do not use them."""
