//go:build tools

// Package tools pins the command that this folder's go.mod builds.
package tools

import (
	_ "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
)
