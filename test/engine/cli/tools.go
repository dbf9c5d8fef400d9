//go:build tools

// Package cli names the command to build, so that go.mod and go.sum cover it.
package cli

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
