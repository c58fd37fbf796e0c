package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// What extract.py writes.
type attribute struct {
	Type      json.RawMessage      `json:"type"`
	Nested    map[string]attribute `json:"nested"`
	Nesting   string               `json:"nesting"`
	Computed  bool                 `json:"computed"`
	Optional  bool                 `json:"optional"`
	Required  bool                 `json:"required"`
	WriteOnly bool                 `json:"write_only"`
}

type nestedBlock struct {
	Nesting string `json:"nesting"`
	Min     int64  `json:"min"`
	Max     int64  `json:"max"`
	Block   block  `json:"block"`
}

type block struct {
	Attributes map[string]attribute   `json:"attributes"`
	Blocks     map[string]nestedBlock `json:"blocks"`
}

type schemas struct {
	Provider  *tfprotov6.Schema
	Resources map[string]*tfprotov6.Schema
}

var attributeNesting = map[string]tfprotov6.SchemaObjectNestingMode{
	"single": tfprotov6.SchemaObjectNestingModeSingle,
	"list":   tfprotov6.SchemaObjectNestingModeList,
	"set":    tfprotov6.SchemaObjectNestingModeSet,
	"map":    tfprotov6.SchemaObjectNestingModeMap,
}

var blockNesting = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
	"struct": tfprotov6.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov6.SchemaNestedBlockNestingModeList,
	"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
}

func readSchemas(file string) (*schemas, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var read struct {
		Provider  block            `json:"provider"`
		Resources map[string]block `json:"resources"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	made := &schemas{Resources: map[string]*tfprotov6.Schema{}}
	if made.Provider, err = schemaOf(read.Provider); err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	for name, resource := range read.Resources {
		if made.Resources[name], err = schemaOf(resource); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return made, nil
}

func schemaOf(read block) (*tfprotov6.Schema, error) {
	made, err := blockOf(read)
	return &tfprotov6.Schema{Block: made}, err
}

func blockOf(read block) (*tfprotov6.SchemaBlock, error) {
	attributes, err := attributesOf(read.Attributes)
	if err != nil {
		return nil, err
	}
	made := &tfprotov6.SchemaBlock{Attributes: attributes}
	for _, name := range sortedNames(read.Blocks) {
		nested := read.Blocks[name]
		inner, err := blockOf(nested.Block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		nesting, known := blockNesting[nested.Nesting]
		if !known {
			return nil, fmt.Errorf("%s: unknown nesting %q", name, nested.Nesting)
		}
		made.BlockTypes = append(made.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: inner, Nesting: nesting, MinItems: nested.Min, MaxItems: nested.Max,
		})
	}
	return made, nil
}

func attributesOf(read map[string]attribute) ([]*tfprotov6.SchemaAttribute, error) {
	var made []*tfprotov6.SchemaAttribute
	for _, name := range sortedNames(read) {
		one := read[name]
		next := &tfprotov6.SchemaAttribute{
			Name: name, Required: one.Required, Optional: one.Optional, Computed: one.Computed,
			WriteOnly: one.WriteOnly,
		}
		if one.Nested != nil {
			inner, err := attributesOf(one.Nested)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			object := &tfprotov6.SchemaObject{Attributes: inner, Nesting: attributeNesting[one.Nesting]}
			if one.Computed && !one.Optional { // what is only read is a plain value in the provider
				next.Type = object.ValueType()
			} else {
				next.NestedType = object
			}
		} else {
			kind, err := tftypes.ParseJSONType(one.Type) //nolint:staticcheck // the notation is terraform's own
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			next.Type = kind
		}
		made = append(made, next)
	}
	return made, nil
}

func sortedNames[T any](from map[string]T) []string {
	names := make([]string, 0, len(from))
	for name := range from {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
