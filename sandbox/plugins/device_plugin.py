"""NVIDIA's device plugin as a stand-in: the templates of its parts that decide who gets a GPU."""

from __future__ import annotations

# How it hands out GPUs, and the capability that MIG and some strategies need. Chart 0.20.0, templates/_helpers.tpl.
DEVICE_LIST = """\
{{- with .Values.deviceListStrategy }}
env:
  - {name: DEVICE_LIST_STRATEGY, value: {{ . | quote }}}
{{- end }}
{{- $mounts := contains "volume-mounts" (.Values.deviceListStrategy | default "") }}
securityContext:
  {{- if .Values.securityContext }}
  {{- toYaml .Values.securityContext | nindent 12 }}
  {{- else if .Values.compatWithCPUManager }}
  privileged: true
  {{- else if or $mounts (ne (.Values.migStrategy | default "none") "none") }}
  capabilities: {add: [SYS_ADMIN]}
  {{- else }}
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  {{- end }}
"""

# The configurations of which a node's label names one. Chart 0.20.0, templates/daemonset-device-plugin.yml.
CONFIGS = """\
{{- if (.Values.config).map }}
initContainers:
  - name: nvidia-device-plugin-init
    image: stand-in
    env:
      - {name: DEFAULT_CONFIG, value: {{ .Values.config.default | quote }}}
volumes:
  - name: available-configs
    configMap: {name: {{ include "fullname" . }}-configs}
{{- end }}
"""

# Chart 0.20.0, templates/configmap.yml and daemonset-mps-control-daemon.yml.
MPS_DAEMON = """\
{{- with (.Values.config).map }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "fullname" $ }}-configs
  labels: {{- include "labels" $ | nindent 4 }}
data: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if (.Values.config).map }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ include "fullname" . }}-mps-control-daemon
  labels: {{- include "labels" . | nindent 4 }}
spec:
  selector:
    matchLabels: {{- include "selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "labels" . | nindent 8 }}
    spec:
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      nodeSelector:
        nvidia.com/mps.capable: "true"
        {{- with .Values.nodeSelector }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with .Values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      hostPID: true
      containers:
        - name: mps-control-daemon-ctr
          image: "{{ (.Values.image).repository | default "nvcr.io/nvidia/k8s-device-plugin" }}:{{ .Chart.Version }}"
          securityContext: {privileged: true}
          {{- with .Values.resources }}
          resources: {{- toYaml . | nindent 12 }}
          {{- end }}
{{- end }}
"""
