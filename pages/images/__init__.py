"""Every container image of a stack: rendered from its charts, else from the library's table."""
