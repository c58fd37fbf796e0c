{{- define "data.selector" -}}
app.kubernetes.io/name: {{ . }}
{{- end -}}

{{- define "data.labels" -}}
{{ include "data.selector" .name }}
app.kubernetes.io/component: {{ .it.group }}
app.kubernetes.io/part-of: stoa
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end -}}

{{/* Takes {root, name}. */}}
{{- define "data.image" -}}
{{- $all := .root.Values.image -}}
{{- $digest := dig .name "digest" "" .root.Values.images -}}
{{- if not (or $digest $all.tag) }}{{ fail (printf "the image of %s has neither digest nor tag" .name) }}{{ end -}}
{{- with $all.registry }}{{ . }}/{{ end }}{{ .name }}{{ if $digest }}@{{ $digest }}{{ else }}:{{ $all.tag }}{{ end -}}
{{- end -}}

{{- define "data.podSecurity" -}}
serviceAccountName: data
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .it.uid }}
  runAsGroup: {{ .it.uid }}
  fsGroup: {{ .it.uid }}
  # Once, on an empty volume: a second time would open 0700 and 0400 to the group, and the servers refuse that.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What every container has. Takes {root, name, it}. */}}
{{- define "data.container" -}}
imagePullPolicy: IfNotPresent
{{- $its := get .root.Values.resources .name | default (dict "cpu" "50m" "memory" "128Mi") }}
resources:
  requests: {cpu: {{ $its.cpu }}, memory: {{ $its.memory }}}
  limits: {memory: {{ $its.memory }}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
{{- with .it.settings }}
env:
  {{- range $name, $value := . }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
{{- end }}
volumeMounts:
  {{- range $path, $size := .it.writes }}
  - {name: {{ $path | trimAll "/" | replace "/" "-" }}, mountPath: {{ $path }}}
  {{- end }}
  {{- with .it.shared }}
  - {name: shared, mountPath: /dev/shm}
  {{- end }}
  {{- with .it.volume }}
  - {name: kept, mountPath: {{ . }}}
  {{- end }}
  {{- if .it.secrets }}
  - {name: secrets, mountPath: /run/secrets, readOnly: true}
  {{- end }}
{{- end -}}

{{- define "data.volumes" -}}
{{- range $path, $size := .it.writes }}
- name: {{ $path | trimAll "/" | replace "/" "-" }}
  emptyDir: {sizeLimit: {{ $size }}}
{{- end }}
{{- with .it.shared }}
- name: shared
  emptyDir: {medium: Memory, sizeLimit: {{ . }}}
{{- end }}
{{- if and .it.volume (not .root.Values.persistence.enabled) }}
- name: kept
  emptyDir: {}
{{- end }}
{{- if .it.secrets }}
- name: secrets
  secret:
    secretName: {{ .name }}
    defaultMode: 0440
    items:
      {{- range .it.secrets }}
      - {key: {{ . | replace "/" "." }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- end -}}

{{- define "data.externalSecret" -}}
{{- $source := .root.Values.secretSource -}}
{{- if and .it.secrets (eq $source.kind "external") }}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ .name }}
  labels: {{- include "data.labels" . | nindent 4 }}
spec:
  refreshInterval: {{ $source.refreshInterval }}
  secretStoreRef: {kind: ClusterSecretStore, name: {{ required "secretSource.store is needed for external secrets" $source.store }}}
  target: {name: {{ .name }}, creationPolicy: Owner, deletionPolicy: Retain}
  data:
    {{- range .it.secrets }}
    - secretKey: {{ . | replace "/" "." }}
      remoteRef: {key: {{ $source.prefix }}{{ . }}, conversionStrategy: Default, decodingStrategy: None, metadataPolicy: None}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "data.toDns" -}}
- to:
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .Values.dns.namespace }}}
      podSelector:
        matchLabels: {k8s-app: kube-dns}
  ports:
    {{- range .Values.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}
