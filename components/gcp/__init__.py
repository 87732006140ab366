"""Components that run on Google Cloud."""
