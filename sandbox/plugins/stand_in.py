"""Stand-ins for charts that cannot be reached: small templates whose pods are scheduled like the real ones.

A stand-in has only what decides where pods are placed: the kind of workload, its default affinity and tolerations
(facts of the charts' values, see the table), and the values tolerations, nodeSelector, affinity, resources,
priorityClassName, serviceAccount, podLabels, podAnnotations and the name overrides. In addition: how NVIDIA's plugin
hands out GPUs; the fixed affinity and toleration of AWS's EFA plugin; the flags and priorities of the Cluster
Autoscaler. It contains nothing of the charts' own templates. A chart that is not in the table becomes a ConfigMap that
records it, with the kinds (CRDs) in `KINDS` that others wait for.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox.cluster import monitoring_kinds
from sandbox.plugins import device_plugin

APP_VERSION = "stand-in"
"""The appVersion of every stand-in, which distinguishes them from real charts in `helm list`."""


@dataclass(frozen=True)
class StandIn:
    """A workload of a chart.

    `defaults`: the chart's values that matter; helm merges the user's values into them. `by_name`: its pods have one
    label, `name`. `affinity`: a template of it, if the chart's values cannot change it. `container`: a template of its
    container's fields in addition to image and resources; `pod`: one of its pod's further fields. `tolerations`: those
    that the chart adds to the user's.
    `more`: a template of further objects.
    """

    kind: str
    image: str
    name_label: str = ""
    account: str = "serviceAccount"
    makes_account: bool = True
    not_in_default_namespace: bool = False
    defaults: dict[str, Any] = field(default_factory=dict)
    by_name: bool = False
    affinity: str = ""
    container: str = ""
    pod: str = ""
    tolerations: list[dict[str, str]] = field(default_factory=list)
    more: str = ""


def _any_of(*labels: tuple[str, str]) -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]} for key, value in labels]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


_CRITICAL = {"key": "CriticalAddonsOnly", "operator": "Exists"}

# A node's type must be in a list; Auto Mode has a separate plugin. Chart 0.5.30, templates/daemonset.yaml.
_EFA_AFFINITY = """\
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        {{- range .Values.supportedInstanceLabels.keys }}
        - matchExpressions:
          - {key: {{ . }}, operator: In, values: {{ toJson $.Values.supportedInstanceLabels.values }}}
        {{- end }}
          - {key: eks.amazonaws.com/compute-type, operator: NotIn, values: [auto]}
"""

# Chart 9.59.0, templates/deployment.yaml: a flag may occur several times; a suffix after "_" makes its keys unique.
_FLAGS = """\
command:
  - ./cluster-autoscaler
  {{- range $flag, $value := .Values.extraArgs }}
  - {{ printf "--%s=%v" (index (splitList "_" $flag) 0) $value | quote }}
  {{- end }}
"""

# Chart 9.59.0, templates/priority-expander-configmap.yaml.
_PRIORITIES = """\
{{- if and .Values.expanderPriorities (contains "priority" (toString ((.Values.extraArgs).expander))) }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: cluster-autoscaler-priority-expander
  labels: {{- include "labels" . | nindent 4 }}
data:
  priorities: |-
    {{- range $rank, $patterns := .Values.expanderPriorities }}
    {{ $rank | int }}: {{- toYaml $patterns | nindent 6 }}
    {{- end }}
{{- end }}
"""

STAND_INS: dict[str, StandIn] = {
    "nvidia-device-plugin": StandIn(
        "DaemonSet",
        "nvcr.io/nvidia/k8s-device-plugin",
        makes_account=False,
        not_in_default_namespace=True,
        defaults={
            "affinity": _any_of(
                ("feature.node.kubernetes.io/pci-10de.present", "true"),
                ("feature.node.kubernetes.io/cpu-model.vendor_id", "NVIDIA"),
                ("nvidia.com/gpu.present", "true"),
            ),
            "tolerations": [_CRITICAL, {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "priorityClassName": "system-node-critical",
        },
        container=device_plugin.DEVICE_LIST,
        pod=device_plugin.CONFIGS,
        more=device_plugin.MPS_DAEMON,
    ),
    "dcgm-exporter": StandIn(
        "DaemonSet",
        "nvcr.io/nvidia/k8s/dcgm-exporter",
        defaults={
            "tolerations": [
                {"key": f"node-role.kubernetes.io/{role}", "operator": "Exists", "effect": "NoSchedule"}
                for role in ("control-plane", "master")
            ],
            "resources": {"limits": {"memory": "512Mi"}},
        },
    ),
    "aws-efa-k8s-device-plugin": StandIn(
        "DaemonSet",
        "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin",
        makes_account=False,
        defaults={
            # A part of the chart's list, which names every type with EFA at the time of its release.
            "supportedInstanceLabels": {
                "keys": ["node.kubernetes.io/instance-type"],
                "values": ["p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge", "p5e.48xlarge", "p5en.48xlarge"],
            },
            "priorityClassName": "system-node-critical",
        },
        by_name=True,
        affinity=_EFA_AFFINITY,
        tolerations=[_CRITICAL],
    ),
    "cluster-autoscaler": StandIn(
        "Deployment",
        "registry.k8s.io/autoscaling/cluster-autoscaler",
        name_label="aws-cluster-autoscaler",
        account="rbac.serviceAccount",
        container=_FLAGS,
        more=_PRIORITIES,
    ),
}


KINDS = {"kube-prometheus-stack": monitoring_kinds.operators}
"""Chart → the kinds (CRDs) of the chart that its stand-in includes."""


def write(folder: Path, chart: str, version: str) -> Path:
    """Writes the stand-in for a chart into `folder` and returns the chart's folder. Releases of one chart in several
    clusters share it: helm may be reading what an earlier call wrote, so no file is ever there half-written."""
    stand_in = STAND_INS.get(chart)
    root = folder / chart
    (root / "templates").mkdir(parents=True, exist_ok=True)
    about = {
        "apiVersion": "v2",
        "name": chart,
        "version": semver(version),
        "appVersion": APP_VERSION,
        "description": f"Stand-in of the sandbox for {chart}, which could not be reached.",
    }
    _put(folder, root / "Chart.yaml", yaml.safe_dump(about))
    _put(folder, root / "values.yaml", yaml.safe_dump(stand_in.defaults if stand_in else {}))
    _put(folder, root / "templates" / "_names.tpl", _NAMES.replace("@LABEL@", _label(chart, stand_in)))
    _put(folder, root / "templates" / "objects.yaml", _workload(chart, stand_in) if stand_in else _RECORD)
    if chart in KINDS:
        (root / "crds").mkdir(exist_ok=True)
        _put(folder, root / "crds" / "kinds.yaml", yaml.safe_dump_all(KINDS[chart]()))
    return root


def _put(folder: Path, path: Path, text: str) -> None:
    """Replaces a file. The draft is in `folder`, outside the chart's: helm reads every file there."""
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as draft:
        draft.write(text)
    os.replace(draft.name, path)


def semver(version: str) -> str:
    """A version that helm accepts: the requested one, or 0.0.0 for a range or no version."""
    return version if re.fullmatch(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?", version) else "0.0.0"


def _label(chart: str, stand_in: StandIn | None) -> str:
    return stand_in.name_label if stand_in and stand_in.name_label else chart


def _workload(chart: str, stand_in: StandIn) -> str:
    text = _WORKLOAD.replace("@KIND@", stand_in.kind).replace("@IMAGE@", stand_in.image).replace("@CHART@", chart)
    outer = ".Values"
    lookups = []
    for part in stand_in.account.split("."):
        lookups.append(f"(({outer}).{part})")
        outer = lookups[-1]
    text = text.replace("@ACCOUNT@", outer)
    text = text.replace("@ACCOUNT_DEFAULT@", "true" if stand_in.makes_account else "false")
    text = text.replace("@POD_LABELS@", "by-name" if stand_in.by_name else "labels")
    text = text.replace("@SELECTOR@", "by-name" if stand_in.by_name else "selector")
    text = text.replace("@TOLERATIONS@", json.dumps(stand_in.tolerations))
    text = text.replace("@AFFINITY@", textwrap.indent(stand_in.affinity or _AFFINITY, " " * 6).lstrip())
    text += textwrap.indent(stand_in.container, " " * 10) + textwrap.indent(stand_in.pod, " " * 6)
    guard = _NOT_IN_DEFAULT if stand_in.not_in_default_namespace else ""
    return guard.replace("@CHART@", chart) + text + stand_in.more


_NAMES = """\
{{- define "name" -}}
{{- default "@LABEL@" .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- define "selector" -}}
app.kubernetes.io/name: {{ include "name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "by-name" -}}
name: {{ include "fullname" . }}
{{- end -}}
{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}
"""

_RECORD = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "fullname" . }}
  labels: {{- include "labels" . | nindent 4 }}
data:
  chart: {{ .Chart.Name | quote }}
  version: {{ .Chart.Version | quote }}
  note: "The chart could not be reached; none of it was rendered."
"""

_NOT_IN_DEFAULT = """\
{{- if eq .Release.Namespace "default" }}
{{- fail "@CHART@ cannot be installed in the namespace default" }}
{{- end }}
"""

_AFFINITY = """\
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 8 }}
{{- end }}
"""

_WORKLOAD = """\
{{- $account := @ACCOUNT@ | default dict }}
{{- $makesAccount := @ACCOUNT_DEFAULT@ }}
{{- if hasKey $account "create" }}{{ $makesAccount = $account.create }}{{ end }}
{{- $accountName := $account.name | default (ternary (include "fullname" .) "default" $makesAccount) }}
{{- if $makesAccount }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $accountName }}
  labels: {{- include "labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
---
{{- end }}
apiVersion: apps/v1
kind: @KIND@
metadata:
  name: {{ include "fullname" . }}
  labels: {{- include "labels" . | nindent 4 }}
spec:
  {{- if eq "@KIND@" "Deployment" }}
  replicas: {{ .Values.replicaCount | default 1 }}
  {{- end }}
  selector:
    matchLabels: {{- include "@SELECTOR@" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "@POD_LABELS@" . | nindent 8 }}
        {{- with .Values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with .Values.podAnnotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ $accountName }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .Values.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      @AFFINITY@
      {{- with concat (fromJsonArray `@TOLERATIONS@`) (.Values.tolerations | default list) }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: @CHART@
          {{- $image := .Values.image | default dict }}
          image: "{{ $image.repository | default "@IMAGE@" }}:{{ $image.tag | default .Chart.Version }}"
          {{- with .Values.resources }}
          resources: {{- toYaml . | nindent 12 }}
          {{- end }}
"""
