"""Prometheus and what it measures: the chart, alert rules, scrapes."""
