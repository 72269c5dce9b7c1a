"""Where the cluster's notifications go: `/cluster/notifications`."""
