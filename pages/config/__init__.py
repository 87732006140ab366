"""The pages that are generated from the declarations of the stack's config: Pulumi.yaml and docs/pools.md."""
