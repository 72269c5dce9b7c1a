"""`/nodes/{node}`."""
