"""A node of Kubernetes that runs pods as processes of this machine, as a kubelet would: a fixture, not a kubelet.

What it does and does not is in ``tests/e2e/test_process_node.py``, with the source of each behaviour. What it writes
is compared with what a kubelet writes in ``tests/e2e/test_hollow_node.py``. Not enforced: limits of memory and CPU,
seccomp, capabilities, network policies. Shorter than a kubelet's: the pauses between restarts and pulls. A claim is a
directory of this machine, of whatever size and access modes, on all nodes.
"""
