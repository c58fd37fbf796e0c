{{- define "service.toDns" -}}
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

{{/* To addresses, or to pods of this namespace where there are none. Takes {cidrs, pod, port}. */}}
{{- define "service.to" -}}
- to:
    {{- range .cidrs }}
    - ipBlock: {cidr: {{ . }}}
    {{- else }}
    - podSelector:
        matchLabels: {app.kubernetes.io/name: {{ .pod }}}
    {{- end }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end -}}

{{/* Takes {root, store}. The port is the last part of the address, whatever its scheme. */}}
{{- define "service.toStore" -}}
{{- $there := get .root.Values.stores .store -}}
{{- include "service.to" (dict "cidrs" $there.cidrs "pod" .store "port" ($there.address | splitList ":" | last)) -}}
{{- end -}}
