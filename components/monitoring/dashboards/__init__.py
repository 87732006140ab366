"""Dashboards, described once and rendered for Grafana and for Cloud Monitoring."""
