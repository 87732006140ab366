"""Empties a cluster before it is destroyed."""
