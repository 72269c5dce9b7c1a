"""The cluster as a whole: resources, status, log, options: `/cluster`."""
