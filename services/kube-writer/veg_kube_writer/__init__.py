"""The kube-writer: the only one that writes to Kubernetes. It carries out commands and says what became of each.

`paths`, `facts`, `patches`, `verdict`, `generations` and `outcomes` are pure: values in, values out. `api` (HTTP),
`ensure` (one function per command), `writer` (one message) and `main` are the shell.
No decision about a gateway may live here: what a Deployment, a status or an Event holds comes with the command.
Nothing here may touch an object that is not ours.
"""
