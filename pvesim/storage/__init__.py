"""Storages and the volumes on them: `/storage` and `/nodes/{node}/storage`."""
