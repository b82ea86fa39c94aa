"""What an export's files say: the texts of a container's files and of Kubernetes' manifests, with places for names."""

from __future__ import annotations

__all__ = ["COMPOSE", "DEPLOYMENT", "DOCKERFILE", "INFERENCE_SERVICE", "LIBGOMP", "REQUIREMENTS"]

REQUIREMENTS = """\
# All that serving this bundle needs besides Python and mlwright itself, at the versions that the bundle was proven with.
# Install with: pip install --no-deps -r serve-requirements.txt {wheel}
{pins}
# Only for requests and answers as Arrow streams; remove the mark where clients send them.
# pyarrow=={pyarrow}
"""

LIBGOMP = """\
# LightGBM's library computes with OpenMP, which slim images lack.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
"""

DOCKERFILE = """\
# Serves {name}, version {version} (SHA-256 {sha256}).
FROM python:{python}-slim
{libraries}\
ENV PYTHONUNBUFFERED=1
WORKDIR /app
COPY serve-requirements.txt {wheel} ./
RUN pip install --no-cache-dir --no-deps -r serve-requirements.txt ./{wheel} && rm {wheel}
COPY bundle ./bundle
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \\
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["mlwright", "serve", "bundle", "--as", "{name}/{version}", "--host", "0.0.0.0", "--port", "8000"]
"""

COMPOSE = """\
# MLWRIGHT_TOKEN="$(openssl rand -hex 32)" docker compose up --build
services:
  {slug}:
    build: .
    image: "{image}"
    ports:
      - "127.0.0.1:8000:8000"
    environment:
      MLWRIGHT_TOKEN: "${{MLWRIGHT_TOKEN:?set a token of 16 or more characters}}"
    user: "10001:10001"
    read_only: true
    tmpfs:
      - /tmp
    cap_drop:
      - ALL
    security_opt:
      - no-new-privileges:true
    mem_limit: {memory}m
    restart: unless-stopped
    stop_grace_period: 20s
"""

_CONTAINER = """\
        - name: {container}
          image: "{image}"
          ports:
            - containerPort: 8000
              name: {port}
              protocol: TCP
          env:
            - name: MLWRIGHT_TOKEN
              valueFrom:
                secretKeyRef:
                  name: {slug}-token
                  key: token
          livenessProbe:
            httpGet:
              path: /v2/health/live
              port: 8000
            periodSeconds: 10
            timeoutSeconds: 3
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: /v2/health/ready
              port: 8000
            periodSeconds: 5
            timeoutSeconds: 3
          resources:
            requests:
              cpu: 250m
              memory: {least}Mi
            limits:
              cpu: "1"
              memory: {memory}Mi
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            runAsNonRoot: true
            runAsUser: 10001
            runAsGroup: 10001
            capabilities:
              drop:
                - ALL
            seccompProfile:
              type: RuntimeDefault
"""

_HEAD = """\
# {name}, version {version} (SHA-256 {sha256}). The image is what `mlwright export docker` describes.
# The token comes from a secret, which is made once:
#   kubectl create secret generic {slug}-token --from-literal=token="$(openssl rand -hex 32)"
"""

INFERENCE_SERVICE = (
    _HEAD
    + """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {slug}
  labels:
    app.kubernetes.io/name: {slug}
    app.kubernetes.io/managed-by: mlwright
  annotations:
    mlwright/version: "{version}"
    mlwright/sha256: "{sha256}"
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 5
    scaleMetric: cpu
    scaleTarget: 70
    timeout: 60
    containers:
"""
    + _CONTAINER.replace("{container}", "kserve-container")
    .replace("{port}", "http1")
    .replace("\n  ", "\n")[2:]
)

DEPLOYMENT = (
    _HEAD
    + """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {slug}
  labels:
    app.kubernetes.io/name: {slug}
    app.kubernetes.io/managed-by: mlwright
  annotations:
    mlwright/version: "{version}"
    mlwright/sha256: "{sha256}"
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: {slug}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {slug}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 30
      securityContext:
        runAsNonRoot: true
        seccompProfile:
          type: RuntimeDefault
      containers:
"""
    + _CONTAINER.replace("{container}", "mlwright").replace("{port}", "http")
    + """\
          # Endpoints forget a pod a moment after it was told to end; until then it goes on answering.
          lifecycle:
            preStop:
              exec:
                command: ["sleep", "5"]
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 64Mi
---
apiVersion: v1
kind: Service
metadata:
  name: {slug}
  labels:
    app.kubernetes.io/name: {slug}
spec:
  selector:
    app.kubernetes.io/name: {slug}
  ports:
    - name: http
      port: 80
      targetPort: http
      protocol: TCP
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {slug}
  labels:
    app.kubernetes.io/name: {slug}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {slug}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: 70
"""
)
