// Package register names the providers that the controllers know: the one that deploy/gitops uses. The whole of them
// cannot be had: for modules of some (pulumi/esc-sdk, tss-sdk-go, vault's auth/ldap among others) no checksum is served.
package register

import _ "github.com/external-secrets/external-secrets/pkg/provider/aws"
