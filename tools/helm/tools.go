//go:build tools

// The program this module pins; it is built, never linked.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
