package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// provider answers what validate, plan and test ask. What it leaves out is never asked of a provider without data
// sources, functions and state.
type provider struct {
	tfprotov6.ProviderServer
	schemas *schemas
}

const refusal = "This is the schema of the AWS provider, served for checks without a cloud. Nothing can be created with it."

func failure(summary string, err error) []*tfprotov6.Diagnostic {
	return []*tfprotov6.Diagnostic{{Severity: tfprotov6.DiagnosticSeverityError, Summary: summary, Detail: err.Error()}}
}

func (p *provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	answer := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	for _, name := range sortedNames(p.schemas.Resources) {
		answer.Resources = append(answer.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	return answer, nil
}

func (p *provider) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return &tfprotov6.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov6.ServerCapabilities{},
		Provider:           p.schemas.Provider,
		ResourceSchemas:    p.schemas.Resources,
	}, nil
}

func (p *provider) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (p *provider) ValidateProviderConfig(_ context.Context, asked *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: asked.Config}, nil
}

func (p *provider) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

// The schema itself is enforced by the tool; there is nothing to add.
func (p *provider) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (p *provider) UpgradeResourceState(_ context.Context, asked *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	kind := p.schemas.Resources[asked.TypeName].ValueType()
	state, err := asked.RawState.Unmarshal(kind)
	if err != nil {
		return &tfprotov6.UpgradeResourceStateResponse{Diagnostics: failure("unreadable state", err)}, nil
	}
	encoded, err := tfprotov6.NewDynamicValue(kind, state)
	if err != nil {
		return &tfprotov6.UpgradeResourceStateResponse{Diagnostics: failure("unreadable state", err)}, nil
	}
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &encoded}, nil
}

func (p *provider) ReadResource(_ context.Context, asked *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: asked.CurrentState}, nil
}

func (p *provider) ApplyResourceChange(_ context.Context, asked *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return &tfprotov6.ApplyResourceChangeResponse{
		NewState:    asked.PriorState,
		Diagnostics: failure("a schema cannot create "+asked.TypeName, fmt.Errorf("%s", refusal)),
	}, nil
}

func (p *provider) PlanResourceChange(_ context.Context, asked *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	schema, known := p.schemas.Resources[asked.TypeName]
	if !known {
		return &tfprotov6.PlanResourceChangeResponse{Diagnostics: failure("unknown type", fmt.Errorf("%s", asked.TypeName))}, nil
	}
	kind := schema.ValueType()
	proposed, err := asked.ProposedNewState.Unmarshal(kind)
	if err != nil {
		return &tfprotov6.PlanResourceChangeResponse{Diagnostics: failure("unreadable plan", err)}, nil
	}
	if proposed.IsNull() {
		return &tfprotov6.PlanResourceChangeResponse{PlannedState: asked.ProposedNewState}, nil
	}
	names := namesOf(asked.TypeName, asked.ProposedNewState.MsgPack)
	planned, err := fill(schema.Block, proposed, names)
	if err != nil {
		return &tfprotov6.PlanResourceChangeResponse{Diagnostics: failure("unreadable plan", err)}, nil
	}
	encoded, err := tfprotov6.NewDynamicValue(kind, planned)
	if err != nil {
		return &tfprotov6.PlanResourceChangeResponse{Diagnostics: failure("unwritable plan", err)}, nil
	}
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: &encoded}, nil
}

// namesOf invents the identity of a resource, so that a plan shows the policy documents that are made of it. The
// account is one that cannot exist.
func namesOf(typeName string, content []byte) map[string]string {
	service, kind, _ := strings.Cut(strings.TrimPrefix(typeName, "aws_"), "_")
	digest := fmt.Sprintf("%x", sha256.Sum256(append([]byte(typeName), content...)))[:17]
	return map[string]string{
		"id":  strings.ReplaceAll(kind, "_", "-") + "-" + digest,
		"arn": fmt.Sprintf("arn:aws:%s:us-east-1:000000000000:%s/%s", service, kind, digest),
	}
}

// fill sets what the configuration left to the provider: invented names at the top, unknown everywhere else.
func fill(schema *tfprotov6.SchemaBlock, value tftypes.Value, names map[string]string) (tftypes.Value, error) {
	if value.IsNull() || !value.IsKnown() {
		return value, nil
	}
	var fields map[string]tftypes.Value
	if err := value.As(&fields); err != nil {
		return value, err
	}
	for _, attribute := range schema.Attributes {
		if attribute.WriteOnly { // sent when it is applied, told by nobody
			fields[attribute.Name] = tftypes.NewValue(attribute.ValueType(), nil)
			continue
		}
		if !attribute.Computed || !fields[attribute.Name].IsNull() {
			continue
		}
		if name, invented := names[attribute.Name]; invented && attribute.ValueType().Is(tftypes.String) {
			fields[attribute.Name] = tftypes.NewValue(tftypes.String, name)
		} else {
			fields[attribute.Name] = tftypes.NewValue(attribute.ValueType(), tftypes.UnknownValue)
		}
	}
	for _, nested := range schema.BlockTypes {
		filled, err := fillNested(nested, fields[nested.TypeName])
		if err != nil {
			return value, err
		}
		fields[nested.TypeName] = filled
	}
	return tftypes.NewValue(value.Type(), fields), nil
}

func fillNested(nested *tfprotov6.SchemaNestedBlock, value tftypes.Value) (tftypes.Value, error) {
	if value.IsNull() || !value.IsKnown() {
		return value, nil
	}
	if nested.Nesting == tfprotov6.SchemaNestedBlockNestingModeSingle {
		return fill(nested.Block, value, nil)
	}
	var items []tftypes.Value
	if err := value.As(&items); err != nil {
		return value, err
	}
	for at, item := range items {
		filled, err := fill(nested.Block, item, nil)
		if err != nil {
			return value, err
		}
		items[at] = filled
	}
	return tftypes.NewValue(value.Type(), items), nil
}
