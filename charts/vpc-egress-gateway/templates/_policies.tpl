{{/* The parts of NetworkPolicies: to whom a pod may speak. */}}

{{- define "veg.policy.head" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: veg-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "veg.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "veg.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end }}

{{/* Addresses and ports; no address: any. Context: cidrs, ports. */}}
{{- define "veg.policy.to" -}}
- ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with .cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end }}

{{/* A pod of the release. Context: root, name, port. */}}
{{- define "veg.policy.toPod" -}}
- ports:
    - {protocol: TCP, port: {{ .port }}}
  to:
    - podSelector:
        matchLabels:
          {{- include "veg.selector" . | nindent 10 }}
{{- end }}

{{- define "veg.policy.toBus" -}}
{{- if .Values.nats.bundled.enabled -}}
{{ include "veg.policy.toPod" (dict "root" . "name" "nats" "port" 4222) }}
{{- else -}}
{{- $port := regexFind "[0-9]+$" .Values.nats.external.url | default "4222" -}}
{{ include "veg.policy.to" (dict "cidrs" .Values.networkPolicy.natsCIDRs "ports" (list $port)) }}
{{- end }}
{{- end }}

{{- define "veg.policy.toPostgres" -}}
{{- if .Values.postgres.bundled.enabled -}}
{{ include "veg.policy.toPod" (dict "root" . "name" "postgres" "port" 5432) }}
{{- else -}}
{{ include "veg.policy.to" (dict "cidrs" .Values.networkPolicy.postgresCIDRs "ports" (list .Values.postgres.external.port)) }}
{{- end }}
{{- end }}

{{- define "veg.policy.toAPI" -}}
{{ include "veg.policy.to" (dict "cidrs" .Values.networkPolicy.apiServerCIDRs "ports" .Values.networkPolicy.apiServerPorts) }}
{{- end }}

{{- define "veg.policy.toOVN" -}}
{{- $remotes := printf "%s,%s" (include "veg.nbRemote" .) (include "veg.sbRemote" .) -}}
{{- $ports := list -}}
{{- range splitList "," $remotes }}{{ with regexFind "[0-9]+$" . }}{{ $ports = append $ports . }}{{ end }}{{ end -}}
{{- if contains "$(OVN_" $remotes }}{{ $ports = concat $ports (list "6641" "6642") }}{{ end -}}
{{ include "veg.policy.to" (dict "cidrs" .Values.networkPolicy.ovnCIDRs "ports" ($ports | uniq)) }}
{{- end }}

{{- define "veg.policy.toDNS" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}
