{{/*
Names. There is one release in a cluster (one CRD, one set of ClusterRoles, one lock in OVN), so all objects have fixed
names, `veg-…`: kubelet's variables of a Service, such as VEG_NATS_SERVICE_HOST, are then known as well.
*/}}

{{/* Labels that pods are found by. Context: root, name (the component). */}}
{{- define "veg.selector" -}}
app.kubernetes.io/name: vpc-egress-gateway
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* Labels of every object. Context: root, name. */}}
{{- define "veg.labels" -}}
{{ include "veg.selector" . }}
app.kubernetes.io/part-of: vpc-egress-gateway
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Image of ours. Context: root, name, digest. */}}
{{- define "veg.image" -}}
{{- $image := .root.Values.image -}}
{{- if .digest -}}
{{ $image.registry }}/{{ .name }}@{{ .digest }}
{{- else -}}
{{ $image.registry }}/{{ .name }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Image of others: repository, tag, digest. */}}
{{- define "veg.foreignImage" -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{/* Remote of a database of OVN. Context: root, key, value, service. */}}
{{- define "veg.remote" -}}
{{- if .value -}}
{{ .value }}
{{- else if eq .root.Release.Namespace "kube-system" -}}
{{- $scheme := ternary "ssl" "tcp" (ne .root.Values.ovn.tls.existingSecret "") -}}
{{ $scheme }}:$(OVN_{{ .service }}_SERVICE_HOST):$(OVN_{{ .service }}_SERVICE_PORT)
{{- else -}}
{{- fail (printf "ovn.%s: a remote such as tcp:172.18.0.2:6641 is needed, since the release's namespace %q is not that of Kube-OVN's Service ovn-%s (kube-system)" .key .root.Release.Namespace (lower .service)) -}}
{{- end }}
{{- end }}

{{- define "veg.nbRemote" -}}
{{ include "veg.remote" (dict "root" . "key" "nbRemote" "value" .Values.ovn.nbRemote "service" "NB") }}
{{- end }}

{{- define "veg.sbRemote" -}}
{{- if ne .Values.ovn.sbRemote "none" -}}
{{ include "veg.remote" (dict "root" . "key" "sbRemote" "value" .Values.ovn.sbRemote "service" "SB") }}
{{- end }}
{{- end }}

{{/* Whether connections to the bus are encrypted: "true" or empty. */}}
{{- define "veg.busTLS" -}}
{{- if .Values.nats.bundled.enabled -}}
{{ if ne .Values.tls.mode "none" }}true{{ end }}
{{- else if hasPrefix "tls://" .Values.nats.external.url -}}
true
{{- end }}
{{- end }}

{{- define "veg.natsURL" -}}
{{- if .Values.nats.bundled.enabled -}}
{{- $ip := .Values.nats.bundled.clusterIP | default "$(VEG_NATS_SERVICE_HOST)" -}}
{{ ternary "tls" "nats" (eq (include "veg.busTLS" .) "true") }}://{{ ternary (printf "[%s]" $ip) $ip (contains ":" $ip) }}:4222
{{- else -}}
{{- $external := .Values.nats.external -}}
{{- if and (hasPrefix "nats://" $external.url) (or $external.tls.caSecret $external.tls.serverName $external.tls.clientSecret) -}}
{{- fail (printf "nats.external.url: %s is not encrypted; tls://… is needed where nats.external.tls has values" $external.url) -}}
{{- end -}}
{{ required "nats.external.url: the URL of the servers is needed, e.g. tls://10.0.0.1:4222, since nats.bundled.enabled is false" $external.url }}
{{- end }}
{{- end }}

{{- define "veg.busSecret" -}}
{{ .Values.nats.existingSecret | default "veg-bus" }}
{{- end }}

{{- define "veg.postgresSecret" -}}
{{- if .Values.postgres.existingSecret -}}
{{ .Values.postgres.existingSecret }}
{{- else if .Values.postgres.bundled.enabled -}}
veg-postgres
{{- else -}}
{{- fail "postgres.existingSecret: a Secret with the keys owner-url and planner-url is needed, since postgres.bundled.enabled is false" -}}
{{- end }}
{{- end }}

{{/* Secret with the certificate of a bundled server. Context: root, name (nats, postgres), existing. */}}
{{- define "veg.tlsSecret" -}}
{{- if eq .root.Values.tls.mode "existing" -}}
{{ required (printf "tls.existing.%sSecret: the Secret with the server's certificate is needed, since tls.mode is existing" .name) .existing }}
{{- else -}}
veg-{{ .name }}-tls
{{- end }}
{{- end }}

{{- define "veg.natsTLSSecret" -}}
{{ include "veg.tlsSecret" (dict "root" . "name" "nats" "existing" .Values.tls.existing.natsSecret) }}
{{- end }}

{{- define "veg.postgresTLSSecret" -}}
{{ include "veg.tlsSecret" (dict "root" . "name" "postgres" "existing" .Values.tls.existing.postgresSecret) }}
{{- end }}
