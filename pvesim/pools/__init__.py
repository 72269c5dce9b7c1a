"""Resource pools: `/pools`."""
