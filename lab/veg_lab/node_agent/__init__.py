"""The lab's kubelet, CNI and Multus in one: a pod is a network namespace, its containers are processes in it.

One process serves all nodes. `spec`, `network_plan`, `probes` and `status` are pure: JSON of the API server in, plain
values out. `netns`, `containers`, `volumes`, `prober` and `cluster` act; `pod` brings one pod to what the API server
says, over and over; `main` starts one such worker for each pod.

What may not live here: anything that decides about egress gateways, and address management of Kube-OVN's subnets
(that is `mini_kube_ovn`; this package only reads the annotations it writes).
"""
