"""Names for devices and directories of several nodes: `/cluster/mapping`."""
