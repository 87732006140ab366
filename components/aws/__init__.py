"""Components that run on Amazon Web Services."""
