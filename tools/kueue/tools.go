//go:build tools

// Package tools pins the command that this folder's go.mod builds.
package tools

import _ "sigs.k8s.io/kueue/cmd/kueue"
