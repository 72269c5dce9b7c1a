"""Certificates from an ACME service, as far as nobody has to be asked: `/cluster/acme`."""
