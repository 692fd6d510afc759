"""The lab's nodes: each a network namespace and a mount namespace of its own, with the daemons that a node has.

`inventory` says which nodes there are and where each has its files; `network` makes links; `cgroups` holds every
process of a node; `filesystem` is what a node sees as its own disk; `chassis`, `containerd` and `kubelet` are its
daemons; `lifecycle` lets a node come, go, fail and come back.

What may not live here: anything that Kube-OVN does on a node (that is `cni` and `mini_kube_ovn`).
"""
