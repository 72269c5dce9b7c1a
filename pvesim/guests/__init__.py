"""What virtual machines and containers have in common: records, configuration, power."""
