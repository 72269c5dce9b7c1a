"""`python -m pvesim` is the command `pvesim`."""

from pvesim.cli import main

main()
