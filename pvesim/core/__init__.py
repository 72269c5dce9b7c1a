"""What a simulated world is made of. Knows no rule of PVE and no HTTP."""
