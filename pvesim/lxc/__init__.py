"""Containers: `/nodes/{node}/lxc`."""
