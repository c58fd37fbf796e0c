{{/* Where somebody in the world is. Takes {root, who}. */}}
{{- define "service.outside" -}}
{{- $there := get .root.Values.outside .who -}}
{{- if not $there }}{{ fail (printf "%s needs outside.%s" .root.Values.name .who) }}{{ end -}}
{{- toYaml $there -}}
{{- end -}}

{{- define "service.dsn" -}}
{{- $at := splitList ":" .Values.stores.postgres.address -}}
host={{ index $at 0 }} port={{ index $at 1 }} dbname={{ .Values.database }} user={{ .user }}{{ with .Values.databaseOptions }} {{ . }}{{ end }}
{{- end -}}

{{/* Every setting of the service, sorted: what the graph and the stores say, then what values name. */}}
{{- define "service.settings" -}}
{{- $node := include "service.node" . | fromYaml -}}
{{- $all := dict "STOA_LOG_LEVEL" .Values.logLevel "STOA_TRACE_RATIO" (toString .Values.traceRatio) -}}
{{- with .Values.otlpUrl }}{{ $_ := set $all "STOA_OTLP_URL" . }}{{ end -}}
{{- with .Values.trustedProxies }}{{ $_ := set $all "STOA_TRUSTED_PROXIES" (join "," .) }}{{ end -}}
{{- range $callee := $node.calls -}}
{{- $_ := set $all (printf "STOA_%s" ($callee | upper | replace "-" "_")) (printf "%s:%v" $callee (get $.Values.graph.services $callee).port) -}}
{{- end -}}
{{- if has "postgres" $node.stores -}}
{{- $_ := set $all "STOA_DATABASE_DSN" (include "service.dsn" (dict "Values" .Values "user" .Values.name)) -}}
{{- end -}}
{{- if has "redis" $node.stores }}{{ $_ := set $all "STOA_REDIS_ADDRESS" .Values.stores.redis.address }}{{ end -}}
{{- if has "rabbitmq" $node.stores -}}
{{- $_ := set $all "STOA_BROKER_ADDRESSES" .Values.stores.rabbitmq.address -}}
{{- with .Values.stores.rabbitmq.ca }}{{ $_ := set $all "STOA_BROKER_CA" . }}{{ end -}}
{{- end -}}
{{- range $who := $node.outside -}}
{{- $there := include "service.outside" (dict "root" $ "who" $who) | fromYaml -}}
{{- $_ := set $all $there.setting $there.address -}}
{{- end -}}
{{- range $file, $secret := .Values.secrets }}{{ $_ := set $all $secret.setting (printf "/run/secrets/%s" $file) }}{{ end -}}
{{- range $name, $value := .Values.settings }}{{ $_ := set $all $name (toString $value) }}{{ end -}}
{{- range $name := keys $all | sortAlpha }}
- {name: {{ $name }}, value: {{ get $all $name | quote }}}
{{- end -}}
{{- end -}}

{{/* An ExternalSecret. Takes {root, name, wave, secrets: {file: {from}}}. */}}
{{- define "service.externalSecret" -}}
{{- $source := .root.Values.secretSource -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ .name }}
  labels: {{- include "service.labels" (dict "root" .root "component" .component) | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- . | nindent 4 }}
  {{- end }}
spec:
  refreshInterval: {{ $source.refreshInterval }}
  secretStoreRef: {kind: ClusterSecretStore, name: {{ required "secretSource.store is needed for external secrets" $source.store }}}
  target: {name: {{ .name }}, creationPolicy: Owner, deletionPolicy: Retain}
  data:
    {{- range $file, $secret := .secrets }}
    - secretKey: {{ $file }}
      remoteRef: {key: {{ $source.prefix }}{{ $secret.from }}, conversionStrategy: Default, decodingStrategy: None, metadataPolicy: None}
    {{- end }}
{{- end -}}
