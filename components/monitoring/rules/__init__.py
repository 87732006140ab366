"""The rules for Prometheus, one module for each subject. `monitoring.alert_rules` assembles them."""
