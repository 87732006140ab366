"""`python -m pages.dashboards`: the pictures of docs/dashboards.md, from a simulated day and a real Prometheus."""
