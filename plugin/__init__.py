"""gpuyard as a Pulumi package: the components of the library for TypeScript, Go, C#, Java and YAML."""
