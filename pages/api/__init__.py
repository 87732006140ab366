"""docs/api: one page per package of the library, written from the docstrings of its source."""
