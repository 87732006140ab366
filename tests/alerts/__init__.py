"""Alert rules under promtool, as each cloud's Prometheus gets them and with series as each cloud labels them."""
