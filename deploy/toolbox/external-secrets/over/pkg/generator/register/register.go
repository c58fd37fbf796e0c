// Package register names the generators that the controllers know: none, since nothing here asks for one, and a module
// of theirs (aws-sdk-go-v2/service/ecrpublic) has no checksum that is served.
package register
