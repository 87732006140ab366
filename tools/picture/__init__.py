"""`make picture`: the picture and the tables of docs/aws.md, from what the example stacks register."""
