"""`python -m bench.fidelity KIT`: play recorded requests on `pvesim serve single-node` and compare the answers.

KIT is a folder with recordings of a genuine node, a player (`play_all.py`) and a comparer (`compare.py`). It is not
part of this project; without one there is nothing to measure. Arguments after KIT go to the player (`--only qemu`).
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

_PASSWORD = "fidelity-password"


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
        return subprocess.run([*command, *arguments[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
