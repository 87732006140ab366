"""An engine that records the resources that a program registers, for tests and for generated pages."""
