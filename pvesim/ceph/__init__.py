"""Ceph on the nodes themselves: `/nodes/{node}/ceph`, `/cluster/ceph`."""
