"""bus-auth: answers NATS' question who a gateway pod is, by the pod's ServiceAccount token (docs/decisions/0019).

`exchange` (what NATS sends and wants), `identity` (from a token's review to a gateway) and `grant` (what that pod may
do) are pure: values in, values out. `api` (HTTP), `answer` (one question) and `main` are the shell.
No token may leave this package: none in a log, an error, a metric or an answer. Nothing here writes to Kubernetes.
"""
