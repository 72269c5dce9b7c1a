"""`python -m bench [mcp] [simulator] [scale] [--json FILE]`: measure and print; ends with 1 if a target is missed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import mcp_server, scale, simulator
from bench.figures import print_table, save

_PARTS = {"mcp": mcp_server.figures, "simulator": simulator.figures, "scale": scale.figures}


def main() -> int:
    """Run the parts that were asked for, or all."""
    parser = argparse.ArgumentParser(description="Measure start, memory and speed; medians, each beside its floor.")
    parser.add_argument("parts", nargs="*", help=f"which: {', '.join(_PARTS)} (all)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(_PARTS)
    if unknown:
        parser.error(f"no part named {', '.join(sorted(unknown))}: use {', '.join(_PARTS)}")
    figures = [figure for part in arguments.parts or _PARTS for figure in _PARTS[part]()]
    print_table(figures)
    if arguments.json:
        save(figures, arguments.json)
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
