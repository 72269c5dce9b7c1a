"""All methods of PVE's API, found by plain words and described."""
