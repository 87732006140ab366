"""The pages that are generated from the declarations of the config: Pulumi.yaml, docs/pools.md, docs/upgrades.md."""
