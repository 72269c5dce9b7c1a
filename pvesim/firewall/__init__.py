"""Firewall rules and options of cluster, node and guest."""
