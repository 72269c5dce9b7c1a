"""Nodes: status, time, services, network, tasks: `/nodes/{node}`."""
