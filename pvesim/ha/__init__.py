"""High availability: `/cluster/ha`."""
