"""Software defined networks: `/cluster/sdn` and what nodes show of it."""
