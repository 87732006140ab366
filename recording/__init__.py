"""An engine that records what a program registers, for tests and for the pages."""
