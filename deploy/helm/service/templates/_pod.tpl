{{/* What Pod Security "restricted" asks of a pod, and the user of our images. */}}
{{- define "service.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "service.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* No limit of CPU: it throttles a service that has idle cores beside it. Memory is asked for in full. */}}
{{- define "service.resources" -}}
resources:
  requests: {cpu: {{ .Values.resources.cpu }}, memory: {{ .Values.resources.memory }}, ephemeral-storage: 16Mi}
  limits: {memory: {{ .Values.resources.memory }}, ephemeral-storage: 64Mi}
{{- end -}}

{{/* A probe of the admin port. Takes {root, path}. */}}
{{- define "service.ask" -}}
httpGet: {path: {{ .path }}, port: admin}
{{- end -}}
