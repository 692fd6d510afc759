{{/*
What a service needs for the bus, the database and OVN: variables, and the files behind them. Secrets are files, each
container has its own ones only, and no secret is a variable.
*/}}

{{/* Files of the bus below /etc/veg/bus. Context: root, name (the user), extra (more keys of the Secret). */}}
{{- define "veg.bus.volume" -}}
{{- $nats := .root.Values.nats -}}
- name: bus
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "veg.busSecret" .root }}
          items:
            - {key: {{ .name }}, path: password}
            {{- range .extra }}
            - {key: {{ . }}, path: {{ . }}}
            {{- end }}
      {{- if and $nats.bundled.enabled (include "veg.busTLS" .root) }}
      - secret:
          name: {{ include "veg.natsTLSSecret" .root }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- else if and (include "veg.busTLS" .root) $nats.external.tls.caSecret }}
      - secret:
          name: {{ $nats.external.tls.caSecret }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- end }}
      {{- if and (not $nats.bundled.enabled) $nats.external.tls.clientSecret }}
      - secret:
          name: {{ $nats.external.tls.clientSecret }}
          items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
      {{- end }}
{{- end }}

{{- define "veg.bus.mount" -}}
- {name: bus, mountPath: /etc/veg/bus, readOnly: true}
{{- end }}

{{/* Name that the bus's certificate is checked for; empty: the host of the URL. */}}
{{- define "veg.bus.serverName" -}}
{{- if .Values.nats.bundled.enabled -}}
{{ if include "veg.busTLS" . }}veg-nats.{{ .Release.Namespace }}.svc{{ end }}
{{- else -}}
{{ .Values.nats.external.tls.serverName }}
{{- end }}
{{- end }}

{{/* Whether there is a CA file of the bus: "true" or empty. */}}
{{- define "veg.bus.hasCA" -}}
{{- if and (include "veg.busTLS" .) (or .Values.nats.bundled.enabled .Values.nats.external.tls.caSecret) -}}
true
{{- end }}
{{- end }}

{{/* Variables of the bus. Context: root, name (the user). */}}
{{- define "veg.bus.env" -}}
- {name: VEG_NATS_URL, value: {{ include "veg.natsURL" .root | quote }}}
- {name: VEG_NATS_USER, value: {{ .name }}}
- {name: VEG_NATS_PASSWORD_FILE, value: /etc/veg/bus/password}
{{- if include "veg.bus.hasCA" .root }}
- {name: VEG_NATS_TLS_CA_FILE, value: /etc/veg/bus/ca.crt}
{{- end }}
{{- with include "veg.bus.serverName" .root }}
- {name: VEG_NATS_TLS_SERVER_NAME, value: {{ . | quote }}}
{{- end }}
{{- if and (not .root.Values.nats.bundled.enabled) .root.Values.nats.external.tls.clientSecret }}
- {name: VEG_NATS_TLS_CERT_FILE, value: /etc/veg/bus/tls.crt}
- {name: VEG_NATS_TLS_KEY_FILE, value: /etc/veg/bus/tls.key}
{{- end }}
- {name: VEG_HEALTH_ADDRESS, value: "0.0.0.0:9100"}
- {name: VEG_LOG_LEVEL, value: {{ .root.Values.logLevel }}}
{{- end }}

{{/* Files of the database, below /etc/veg/postgres. Context: root, name (of the volume), key (of the URL). */}}
{{- define "veg.postgres.volume" -}}
{{- $postgres := .root.Values.postgres -}}
- name: {{ .name }}
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ include "veg.postgresSecret" .root }}
          items: [{key: {{ .key }}, path: url}]
      {{- if and $postgres.bundled.enabled (ne .root.Values.tls.mode "none") }}
      - secret:
          name: {{ include "veg.postgresTLSSecret" .root }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- else if and (not $postgres.bundled.enabled) $postgres.external.caSecret }}
      - secret:
          name: {{ $postgres.external.caSecret }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- end }}
{{- end }}

{{/* Variables of the database. With the bundled one libpq is told the address and the name that its certificate has. */}}
{{- define "veg.postgres.env" -}}
- {name: VEG_POSTGRES_URL_FILE, value: /etc/veg/postgres/url}
{{- if .Values.postgres.bundled.enabled }}
- {name: PGHOST, value: veg-postgres}
- {name: PGHOSTADDR, value: $(VEG_POSTGRES_SERVICE_HOST)}
- {name: PGPORT, value: "5432"}
{{- if ne .Values.tls.mode "none" }}
- {name: PGSSLMODE, value: verify-full}
- {name: PGSSLROOTCERT, value: /etc/veg/postgres/ca.crt}
{{- end }}
{{- end }}
{{- end }}

{{/* The container that brings the database to the newest schema. Two at once wait for each other. */}}
{{- define "veg.migrate.container" -}}
name: migrate
image: {{ include "veg.image" (dict "root" . "name" "migrations" "digest" .Values.migrations.image.digest) }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  {{- include "veg.postgres.env" . | nindent 2 }}
volumeMounts:
  - {name: postgres-owner, mountPath: /etc/veg/postgres, readOnly: true}
  - {name: tmp, mountPath: /tmp}
resources:
  requests: {cpu: 50m, memory: 96Mi}
  limits: {cpu: "1", memory: 256Mi}
securityContext:
  {{- include "veg.container.security" . | nindent 2 }}
{{- end }}
