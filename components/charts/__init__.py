"""How a Helm chart is installed: its source, its images, its release."""
