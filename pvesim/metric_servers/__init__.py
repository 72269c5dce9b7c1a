"""External metric servers and the export of metrics: `/cluster/metrics`."""
