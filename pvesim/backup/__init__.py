"""Backups: `/nodes/{node}/vzdump`, `/cluster/backup`."""
