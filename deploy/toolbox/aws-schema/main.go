// A provider that knows the names of AWS and nothing else: it serves the schema that extract.py read, so that
// validate, plan and test check every attribute and block without a cloud, and refuses to apply.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

func run() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	schemas, err := readSchemas(filepath.Join(filepath.Dir(program), "schema.json"))
	if err != nil {
		return err
	}
	return tf6server.Serve("hashicorp/aws", func() tfprotov6.ProviderServer { return &provider{schemas: schemas} })
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "aws-schema:", err)
		os.Exit(1)
	}
}
