//go:build tools

// The program this module pins; it is built, never linked.
package tools

import _ "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity"
