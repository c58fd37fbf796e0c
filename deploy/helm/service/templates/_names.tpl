{{/* This service's line of the service graph. */}}
{{- define "service.node" -}}
{{- $node := get .Values.graph.services .Values.name -}}
{{- if not $node }}{{ fail (printf "%q is not in the service graph (deploy/helm/service-graph.yaml)" .Values.name) }}{{ end -}}
{{- toYaml $node -}}
{{- end -}}

{{- define "service.adminPort" -}}
{{- add (include "service.node" . | fromYaml).port 1000 -}}
{{- end -}}

{{/* What a selector holds. Takes {root, component}: service, migration or test. */}}
{{- define "service.selector" -}}
app.kubernetes.io/name: {{ .root.Values.name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "service.labels" -}}
{{ include "service.selector" . }}
app.kubernetes.io/part-of: stoa
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{/* Takes {root, name, image: {tag, digest}}; by digest wherever there is one, here or in the environment's file. */}}
{{- define "service.image" -}}
{{- $all := .root.Values.image -}}
{{- $digest := .image.digest | default (dig .name "digest" "" .root.Values.images) -}}
{{- if and $all.requireDigest (not $digest) }}{{ fail (printf "the image of %s has no digest, and this environment deploys by digest" .name) }}{{ end -}}
{{- if not (or $digest .image.tag) }}{{ fail (printf "the image of %s has neither digest nor tag" .name) }}{{ end -}}
{{- with $all.registry }}{{ . }}/{{ end }}{{ .name }}{{ if $digest }}@{{ $digest }}{{ else }}:{{ .image.tag }}{{ end -}}
{{- end -}}

{{/*
What puts an object before or after others: helm's hooks, or the waves of Argo CD. Takes {root, wave} and, for
a Job, job: true. Everything a migration needs is before it, and the services are after it.
*/}}
{{- define "service.order" -}}
{{- if eq .root.Values.orderedBy "argocd" -}}
argocd.argoproj.io/sync-wave: {{ .wave | quote }}
{{- if .job }}
argocd.argoproj.io/hook: Sync
argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
{{- end }}
{{- else -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ .wave | quote }}
helm.sh/hook-delete-policy: before-hook-creation
{{- end }}
{{- end -}}
