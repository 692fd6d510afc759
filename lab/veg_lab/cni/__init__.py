"""The network of pods: what Kube-OVN's node side (the daemon and its thin plugin) and Multus do in a cluster.

On each node, containerd runs the plugin `kube-ovn` for every sandbox. It only hands its configuration and its CNI_…
variables over a socket to the daemon, `python -m veg_lab.cni`, of which the lab has one for all nodes:

- the plugin of the network (`type: kube-ovn`): makes eth0 on the node's br-int, then does what Multus does for each
  NetworkAttachmentDefinition of the pod: one of the same type, whose provider ends in `.ovn`, is another interface
  there; for others it calls the packaged plugin;
- these plugins call it again for addresses (`ipam.type: kube-ovn`): they come from the pod's annotations.

`network_plan`, `protocol` and `record` are pure: JSON in, values and JSON out. `ports`, `delegate` and `names` each act
on one thing, `sandboxes` puts them together for one pod, `server` has a socket on each node.

What may not live here: who gets which address (that is `mini_kube_ovn`; this package reads the annotations it writes),
and anything that knows of egress gateways.
"""
