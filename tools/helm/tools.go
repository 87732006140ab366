//go:build tools

// Package tools pins the command that this folder's go.mod builds.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
