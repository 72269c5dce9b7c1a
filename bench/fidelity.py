"""`python -m bench.fidelity KIT`: play recorded requests on `pvesim serve single-node` and compare the answers.

KIT is a folder with recordings of a genuine node, a player (`play_all.py`) and a comparer (`compare.py`). It is not
part of this project; without one there is nothing to measure. Arguments after KIT go to the player (`--only qemu`).
With `--write` the table also takes the place of the one in docs/fidelity.md.
"""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

_PASSWORD = "fidelity-password"
_PAGE = Path(__file__).resolve().parent.parent / "docs" / "fidelity.md"
_ROW = re.compile(r"^(\S+) +(\d+) +([\d.]+)% +([\d.]+)% +([\d.]+)%$", re.MULTILINE)
_PLACE = re.compile(r"(<!-- plays: generated -->\n).*?(\n<!-- /plays -->)", re.DOTALL)


def table(printed: str) -> str:
    """The table that the comparer printed, as Markdown."""
    lines = ["| family | steps | exact | wire | status |", "| --- | --- | --- | --- | --- |"]
    for family, steps, *shares in _ROW.findall(printed):
        cells = [family, steps, *(f"{share} %" for share in shares)]
        lines.append(f"| {' | '.join(f'**{cell}**' for cell in cells) if family == 'total' else ' | '.join(cells)} |")
    return "\n".join(lines)


def page(text: str, printed: str, day: str) -> str:
    """The page with the printed table in its place. Raises ValueError if it has none, or nothing was printed."""
    if not _PLACE.search(text) or not _ROW.search(printed):
        raise ValueError("there is no table, or no place for it")
    return _PLACE.sub(lambda place: f"{place[1]}\nOn {day}:\n\n{table(printed)}\n{place[2]}", text)


def main(arguments: list[str]) -> int:
    """Run the kit's player; its exit status, or 2 when there is no kit."""
    kit = Path(arguments[0]) if arguments else None
    if kit is None or not (kit / "play_all.py").is_file():
        print("usage: python -m bench.fidelity KIT [--only PLAY,…]: KIT is a folder with play_all.py", file=sys.stderr)
        return 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = ["-m", "pvesim", "serve", "single-node", "--port", str(port), "--root-password", _PASSWORD]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(kit / "play_all.py"), "--start", shlex.join(["exec", sys.executable, *serve])]
        command += ["--url", f"https://127.0.0.1:{port}", "--password", _PASSWORD, "--insecure"]
        if "--out" not in arguments:
            command += ["--out", folder]
        further = [argument for argument in arguments[1:] if argument != "--write"]
        done = subprocess.run([*command, *further], check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="")
    if "--write" in arguments and done.returncode == 0:
        _PAGE.write_text(page(_PAGE.read_text(), done.stdout, f"{datetime.now(UTC):%Y-%m-%d}"))
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
