{{- define "nacre.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* A RayService's name has at most 47 characters, since others are made of it. */}}
{{- define "nacre.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "nacre.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "nacre.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What finds the pods of a release. Nothing here changes with the chart's version: a changed pod is
     another cluster. */}}
{{- define "nacre.selector" -}}
app.kubernetes.io/name: {{ include "nacre.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nacre.labels" -}}
{{ include "nacre.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "nacre.serviceAccount" -}}
{{- default (ternary (include "nacre.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "nacre.tokens" -}}
{{- if .Values.auth.existingSecret -}}
{{- .Values.auth.existingSecret -}}
{{- else if .Values.auth.create -}}
{{- include "nacre.fullname" . }}-tokens
{{- else -}}
{{- fail "expected auth.existingSecret, the name of a Secret with the key NACRE_TOKEN, or auth.create: true, which makes one; found neither. Without a token everybody may do everything" -}}
{{- end -}}
{{- end -}}

{{/* The address of the API inside the cluster; KubeRay makes the Service. */}}
{{- define "nacre.service" -}}
{{ include "nacre.fullname" . }}-serve-svc
{{- end -}}

{{- define "nacre.port" -}}
{{ .Values.config.serve.port }}
{{- end -}}

{{- define "nacre.image" -}}
{{- $image := .image -}}
{{- $registry := default "" .root.Values.global.imageRegistry -}}
{{- $name := ternary (printf "%s/%s" (trimSuffix "/" $registry) $image.repository) $image.repository (ne $registry "") -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The bytes of a quantity, as a number. */}}
{{- define "nacre.bytes" -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $units $unit | float64) -}}
{{- end -}}

{{/* The configuration as the program reads it: what it leaves open follows from the groups. */}}
{{- define "nacre.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $groups := .Values.groups -}}
{{- $store := default "" $config.store -}}
{{- if not $store -}}
{{- fail "expected config.store, the URL of the object store, such as s3://bucket/prefix; found none. Nothing else lasts" -}}
{{- end -}}
{{- if not (or (hasPrefix "s3://" $store) (hasPrefix "file:///" $store)) -}}
{{- fail (printf "expected config.store to begin with s3:// or file:///, found %q" $store) -}}
{{- end -}}
{{- $serve := default dict $config.serve -}}
{{- if not (and $serve.host $serve.port) -}}
{{- fail "expected config.serve.host and config.serve.port, found null, which takes away what the chart says of them; leave them out" -}}
{{- end -}}
{{- if or (hasPrefix "127." $serve.host) (has $serve.host (list "localhost" "::1")) -}}
{{- fail (printf "expected config.serve.host to be an address that other pods reach, such as 0.0.0.0, found %s" $serve.host) -}}
{{- end -}}
{{- if or (lt (int $serve.port) 1024) (has (int $serve.port) (list 6379 8080 8265 10001 44217 44227 52365)) (and (ge (int $serve.port) 10002) (le (int $serve.port) 19999)) -}}
{{- fail (printf "expected config.serve.port to be 1024 or more, which a pod without rights may open, and none that Ray listens on (6379, 8080, 8265, 10001 to 19999, 44217, 44227, 52365), found %v; another port in front is for ingress, gateway or a Service of your own" $serve.port) -}}
{{- end -}}
{{- $served := append (default list $serve.adapters) (default "main" $config.adapter) -}}
{{- if and .Values.test.adapter (not (has .Values.test.adapter $served)) -}}
{{- fail (printf "expected test.adapter, which is %s, among config.serve.adapters, found %s; `helm test` asks for it: add it there, or leave test.adapter empty, and there is no test" .Values.test.adapter (join ", " $served)) -}}
{{- end -}}
{{- if ne (default "auto" $config.ray) "auto" -}}
{{- fail (printf "expected config.ray auto, found %s: the pods are nodes of the Ray that KubeRay starts" $config.ray) -}}
{{- end -}}
{{- range $name, $pod := merge (dict "head" .Values.head) (dict "groups.serve" $groups.serve "groups.encode" $groups.encode "groups.learn" $groups.learn) -}}
{{- if le (include "nacre.bytes" $pod.scratch | float64) (float64 (default 10737418240 $config.cache_bytes)) -}}
{{- fail (printf "expected %s.scratch above config.cache_bytes, found %s: Kubernetes ends a pod whose folder for caches is full" $name $pod.scratch) -}}
{{- end -}}
{{- end -}}
{{- if and (hasPrefix "file:" $store) (not .Values.store.existingClaim) -}}
{{- fail (printf "expected store.existingClaim beside config.store %q, found none: a folder of a pod goes with the pod" $store) -}}
{{- end -}}
{{- if not (gt (int $groups.learn.max) 0) -}}
{{- fail "expected groups.learn.max of at least 1, found 0: there everything is learnt, published and coordinated" -}}
{{- end -}}
{{- if lt (int $groups.learn.min) 1 -}}
{{- fail "expected groups.learn.min of at least 1, found 0: the coordinator is always there" -}}
{{- end -}}
{{- if lt (int $groups.serve.min) 1 -}}
{{- fail "expected groups.serve.min of at least 1, found 0: somebody must answer" -}}
{{- end -}}
{{- $api := dict "labels" (dict "nacre-group" "serve") "resources" (dict "nacre-replica" 1) -}}
{{- if gt (int $groups.serve.gpus) 0 -}}{{- $_ := set $api "gpus" $groups.serve.gpus -}}{{- end -}}
{{- $learn := dict "labels" (dict "nacre-group" "learn") -}}
{{- $train := deepCopy $learn -}}
{{- if gt (int $groups.learn.gpus) 0 -}}{{- $_ := set $train "gpus" $groups.learn.gpus -}}{{- end -}}
{{- $encode := deepCopy $learn -}}
{{- if gt (int $groups.encode.max) 0 -}}
{{- $encode = dict "labels" (dict "nacre-group" "encode") "gpus" $groups.encode.gpus -}}
{{- end -}}
{{- $placement := dict "api" $api "shard_encoder" $encode "decoder" $learn "trainer" $train "mixture_fitter" $learn "publisher" $learn "coordinator" $learn -}}
{{- $_ := set $config "placement" (mustMergeOverwrite (deepCopy $placement) (default dict $config.placement)) -}}
{{- if not (hasKey $config.serve "replicas") -}}
{{- $_ := set $config.serve "replicas" dict -}}
{{- end -}}
{{- $replicas := $config.serve.replicas -}}
{{- if not (hasKey $replicas "min") -}}{{- $_ := set $replicas "min" $groups.serve.min -}}{{- end -}}
{{- if not (hasKey $replicas "max") -}}{{- $_ := set $replicas "max" (max (int $replicas.min) (sub (int $groups.serve.max) 1)) -}}{{- end -}}
{{- if lt (int $replicas.min) (int $groups.serve.min) -}}
{{- fail (printf "expected config.serve.replicas.min of at least groups.serve.min, which is %v, found %v: a pod of this group without a replica never becomes ready" $groups.serve.min $replicas.min) -}}
{{- end -}}
{{- if le (int $groups.serve.max) (int $replicas.max) -}}
{{- fail (printf "expected groups.serve.max above config.serve.replicas.max, which is %v, found %v: after a change a replica begins in a pod of its own before an old one goes, and without room for one it waits for ever" $replicas.max $groups.serve.max) -}}
{{- end -}}
{{- if gt (int $groups.encode.max) 0 -}}
{{- $encoders := dict "encoders" (dict "min" $groups.encode.min "max" $groups.encode.max) -}}
{{- $_ := set $config "workers" (mustMergeOverwrite $encoders (default dict $config.workers)) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* What Serve is to run, as `nacre serve-config` prints it: each application gets the keys that its
     role reads, so that it goes on while others change. files/serve.json is made from the program. */}}
{{- define "nacre.serveConfig" -}}
{{- $config := include "nacre.config" . | fromYaml -}}
{{- $serve := .Files.Get "files/serve.json" | fromJson -}}
{{- $document := $serve.document -}}
{{- $_ := set $document "http_options" (dict "host" $config.serve.host "port" $config.serve.port) -}}
{{- $applications := list -}}
{{- range $serve.applications -}}
{{- $read := dict -}}
{{- if hasKey . "reads" -}}
{{- range .reads -}}
{{- $path := splitList "." . -}}
{{- $first := first $path -}}
{{- if hasKey $config $first -}}
{{- if eq (len $path) 1 -}}
{{- $_ := set $read $first (get $config $first) -}}
{{- else if hasKey (get $config $first) (last $path) -}}
{{- $part := default dict (get $read $first) -}}
{{- $_ := set $part (last $path) (get (get $config $first) (last $path)) -}}
{{- $_ := set $read $first $part -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- else -}}
{{- $read = deepCopy $config -}}
{{- range .without -}}
{{- $path := splitList "." . -}}
{{- $first := first $path -}}
{{- if eq (len $path) 1 -}}
{{- $_ := unset $read $first -}}
{{- else if hasKey $read $first -}}
{{- $_ := unset (get $read $first) (last $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $applications = append $applications (dict "name" .name "import_path" .import_path "route_prefix" .route_prefix "args" (dict "config" $read)) -}}
{{- end -}}
{{- $_ := set $document "applications" $applications -}}
{{- toYaml $document -}}
{{- end -}}

{{/* The user and group of the image. */}}
{{- define "nacre.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "nacre.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "nacre.env" -}}
- {name: NACRE_CONFIG, value: /etc/nacre/nacre.yaml}
- {name: NACRE_HOME, value: /var/lib/nacre}
- {name: HOME, value: /tmp}
- name: NACRE_TOKEN
  valueFrom: {secretKeyRef: {name: {{ include "nacre.tokens" . }}, key: NACRE_TOKEN}}
- name: NACRE_PREDICT_TOKEN
  valueFrom: {secretKeyRef: {name: {{ include "nacre.tokens" . }}, key: NACRE_PREDICT_TOKEN, optional: true}}
{{- with .Values.auth.oidcSecret }}
- name: NACRE_OIDC_SECRET
  valueFrom: {secretKeyRef: {name: {{ . }}, key: NACRE_OIDC_SECRET}}
{{- end }}
{{- if .Values.store.caSecret }}
- {name: SSL_CERT_FILE, value: /etc/nacre-ca/ca.crt}
{{- end }}
{{- end -}}

{{- define "nacre.envFrom" -}}
{{- with .Values.store.existingSecret }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}

{{- define "nacre.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: scratch, mountPath: /var/lib/nacre}
- {name: config, mountPath: /etc/nacre, readOnly: true}
{{- if .Values.store.existingClaim }}
- {name: store, mountPath: /store}
{{- end }}
{{- if .Values.store.caSecret }}
- {name: store-ca, mountPath: /etc/nacre-ca, readOnly: true}
{{- end }}
{{- if include "nacre.hasWeights" . }}
- {name: weights, mountPath: /weights, readOnly: true}
{{- end }}
{{- end -}}

{{- define "nacre.hasWeights" -}}
{{- if or .Values.weights.existingClaim .Values.weights.image .Values.weights.url }}yes{{ end -}}
{{- end -}}

{{- define "nacre.volumes" -}}
- name: tmp
  emptyDir: {}
- name: scratch
  emptyDir: {sizeLimit: {{ .pod.scratch }}}
- name: config
  configMap: {name: {{ include "nacre.fullname" .root }}}
{{- with .root.Values.store.existingClaim }}
- name: store
  persistentVolumeClaim: {claimName: {{ . }}}
{{- end }}
{{- with .root.Values.store.caSecret }}
- name: store-ca
  secret: {secretName: {{ . }}}
{{- end }}
{{- $weights := .root.Values.weights }}
{{- if $weights.existingClaim }}
- name: weights
  persistentVolumeClaim: {claimName: {{ $weights.existingClaim }}, readOnly: true}
{{- else if $weights.image }}
- name: weights
  image: {reference: {{ $weights.image }}, pullPolicy: IfNotPresent}
{{- else if $weights.url }}
- name: weights
  emptyDir: {}
{{- end }}
{{- end -}}

{{/* The template of a pod: of `pod` in the values, called `name`, in `root`. */}}
{{- define "nacre.podTemplate" -}}
{{- $root := .root -}}
{{- $pod := .pod -}}
{{- $name := .name -}}
{{- $values := $root.Values -}}
{{- $image := ternary $values.image.cuda $values.image.cpu (gt (int $pod.gpus) 0) -}}
{{- $reference := default (include "nacre.image" (dict "root" $root "image" $image)) $pod.image -}}
{{- $pull := default $image.pullPolicy $pod.pullPolicy -}}
{{- $security := default (include "nacre.securityContext" $root | fromYaml) $pod.securityContext -}}
{{- $left := sub (sub (int $values.terminationGracePeriodSeconds) (int $values.drainSeconds)) 30 -}}
{{- if lt (int $left) 1 -}}
{{- fail (printf "expected terminationGracePeriodSeconds of more than drainSeconds and 30, found %v and %v: Ray drains a node, then ends its processes, and what is not done by then is killed" $values.terminationGracePeriodSeconds $values.drainSeconds) -}}
{{- end -}}
{{- $resources := deepCopy (default dict $pod.resources) -}}
{{- if gt (int $pod.gpus) 0 -}}
{{- $limits := default dict $resources.limits -}}
{{- $_ := set $limits $pod.gpuResource $pod.gpus -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
metadata:
  labels:
    {{- include "nacre.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $name }}
    {{- with $pod.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Serve cannot change what it listens on while it runs; everything else of the configuration it can.
    checksum/listening: {{ printf "%s:%v" $values.config.serve.host $values.config.serve.port | sha256sum }}
    {{- with $pod.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "nacre.serviceAccount" $root }}
  # The autoscaler beside the head asks Kubernetes; nothing else does.
  automountServiceAccountToken: {{ eq $name "head" }}
  # Those of a release called nacre would be read as variables of nacre.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  securityContext:
    {{- default (include "nacre.podSecurityContext" $root | fromYaml) $pod.podSecurityContext | toYaml | nindent 4 }}
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $pod.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $pod.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $pod.spread }}
  topologySpreadConstraints:
    {{- range (list "topology.kubernetes.io/zone" "kubernetes.io/hostname") }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "nacre.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $name }}
    {{- end }}
  {{- end }}
  {{- with $pod.priorityClass }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $pod.runtimeClass }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- if and $values.weights.url (not $values.weights.existingClaim) (not $values.weights.image) }}
  initContainers:
    - name: weights
      image: {{ $reference }}
      imagePullPolicy: {{ $pull }}
      command: [python, -c]
      args:
        - |
          {{- $root.Files.Get "files/weights.py" | nindent 10 }}
      env:
        - {name: WEIGHTS_URL, value: {{ $values.weights.url | quote }}}
        - {name: WEIGHTS_SHA256, value: {{ required "expected weights.sha256 beside weights.url: what is loaded over a network is checked" $values.weights.sha256 | quote }}}
      resources:
        requests: {cpu: 100m, memory: 256Mi}
        limits: {cpu: "1", memory: 256Mi}
      securityContext:
        {{- toYaml $security | nindent 8 }}
      volumeMounts:
        - {name: weights, mountPath: /weights}
        - {name: tmp, mountPath: /tmp}
  {{- end }}
  containers:
    # KubeRay gives it its command.
    - name: {{ ternary "ray-head" "ray-worker" (eq $name "head") }}
      image: {{ $reference }}
      imagePullPolicy: {{ $pull }}
      env:
        {{- include "nacre.env" $root | nindent 8 }}
        # How long Ray drains the node after SIGTERM. Its 30 s are all that Kubernetes gives by default,
        # so that every pod was killed. The head has nothing to drain, and a new one waits for its volume.
        - {name: RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S, value: {{ ternary 0 $left (eq $name "head") | quote }}}
        {{- with $pod.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $from := include "nacre.envFrom" $root | fromYamlArray }}
      {{- with concat $from $pod.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- if eq $name "head" }}
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        {{- end }}
        {{- if or (eq $name "serve") (eq $name "head") }}
        - {name: serve, containerPort: {{ include "nacre.port" $root }}}
        {{- end }}
        - {name: metrics, containerPort: 8080}
      resources:
        {{- toYaml $resources | nindent 8 }}
      securityContext:
        {{- toYaml $security | nindent 8 }}
      {{- if ne $name "head" }}
      # What sends requests learns meanwhile that the pod goes; Ray drains it when this is over.
      lifecycle:
        preStop:
          exec:
            command: [sleep, {{ $values.drainSeconds | quote }}]
      {{- end }}
      {{- if and (ne $name "head") (ne $name "serve") (ne $values.upgrade.strategy "NewClusterWithIncrementalUpgrade") }}
      # Without a replica a pod has no proxy, which KubeRay's own probe would wait for for ever.
      readinessProbe:
        httpGet: {path: /api/healthz, port: 52365}
        initialDelaySeconds: 10
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 10
      {{- end }}
      volumeMounts:
        {{- include "nacre.mounts" $root | nindent 8 }}
        - {name: memory, mountPath: /dev/shm}
        {{- with $pod.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "nacre.volumes" (dict "root" $root "pod" $pod) | nindent 4 }}
    - name: memory
      emptyDir: {medium: Memory, sizeLimit: {{ $pod.sharedMemory }}}
    {{- with $pod.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* What Ray counts on a node; KubeRay would take the limits. */}}
{{- define "nacre.rayResources" -}}
CPU: {{ .cpus | quote }}
{{- if gt (int .gpus) 0 }}
GPU: {{ .gpus | quote }}
{{- end }}
{{- with .rayResources }}
{{ toYaml . }}
{{- end }}
{{- end -}}
