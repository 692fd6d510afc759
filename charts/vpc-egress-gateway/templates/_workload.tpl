{{/* What every pod and container of the release has. Each line is asked for by a rule of tests/chart/gate.py. */}}

{{- define "veg.pod.security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "veg.container.security" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The start of a pod's spec. Context: root, name, values (nodeSelector, tolerations). */}}
{{- define "veg.pod" -}}
{{- $root := .root -}}
{{- with $root.Values.priorityClass.name }}
priorityClassName: {{ . }}
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "veg.pod.security" . | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "veg.selector" . | nindent 8 }}
{{- end }}

{{/*
A Deployment and its PodDisruptionBudget. Context: root, name (component, image and user of the bus), values, api
(whether it talks to the API server), env, volumes, mounts, and perhaps init (an init container) and checksum.
*/}}
{{- define "veg.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: veg-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "veg.labels" . | nindent 4 }}
spec:
  replicas: {{ .values.replicas }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "veg.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "veg.labels" . | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .name }}
    spec:
      serviceAccountName: veg-{{ .name }}
      automountServiceAccountToken: {{ .api }}
      enableServiceLinks: true # addresses of Services come as variables, so that no DNS is needed
      {{- include "veg.pod" . | nindent 6 }}
      {{- with .init }}
      initContainers:
        - {{- . | nindent 10 }}
      {{- end }}
      containers:
        - name: {{ .name }}
          image: {{ include "veg.image" (dict "root" .root "name" .name "digest" .values.image.digest) }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          env:
            {{- .env | nindent 12 }}
          ports:
            - {name: health, containerPort: 9100}
          startupProbe:
            httpGet: {path: /healthz, port: health}
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 30
          livenessProbe:
            httpGet: {path: /healthz, port: health}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: health}
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            {{- include "veg.container.security" . | nindent 12 }}
          volumeMounts:
            {{- .mounts | nindent 12 }}
            - {name: tmp, mountPath: /tmp}
      volumes:
        {{- .volumes | nindent 8 }}
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
---
{{ include "veg.budget" . }}
{{- end }}

{{/* At most one pod at a time leaves for a drain; a budget that names available pods would block one of a single pod. */}}
{{- define "veg.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: veg-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "veg.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "veg.selector" . | nindent 6 }}
{{- end }}

{{/* A Job before install and upgrade. Context: root, name, weight, account, token, container, volumes. */}}
{{- define "veg.hook" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: veg-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "veg.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 240
  template:
    metadata:
      labels:
        {{- include "veg.labels" . | nindent 8 }}
    spec:
      restartPolicy: Never
      {{- with .account }}
      serviceAccountName: {{ . }}
      {{- end }}
      automountServiceAccountToken: {{ .token }}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "veg.pod.security" . | nindent 8 }}
      {{- with .root.Values.jobs.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.jobs.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - {{- .container | nindent 10 }}
      volumes:
        {{- .volumes | nindent 8 }}
        - name: tmp
          emptyDir: {sizeLimit: 64Mi}
{{- end }}

{{/* The volume of a StatefulSet. It stays when the release goes. Context: size, storageClass. */}}
{{- define "veg.claim" -}}
volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .storageClass }}
      storageClassName: {{ . | quote }}
      {{- end }}
      resources: {requests: {storage: {{ .size }}}}
{{- end }}
