"""`make pages`: the table of docs/alerts.md, from the rules and the runbooks."""
