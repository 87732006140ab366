"""Every container image of a stack: rendered from its charts, otherwise from the library's table."""
