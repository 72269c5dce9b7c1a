"""Copies of guests' volumes on other nodes: `/cluster/replication`, `/nodes/{node}/replication`."""
