"""`make picture`: the pictures and the tables of docs/aws.md and docs/gcp.md, from what the example stacks register."""
