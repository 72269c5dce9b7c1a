"""Virtual machines: `/nodes/{node}/qemu`."""
