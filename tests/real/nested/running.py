"""A machine that is switched on: its API, its screen, and how it is shut down."""

import hashlib
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from proxmoxer import ResourceException

from proxmox_mcp.errors import ProxmoxError
from proxmox_mcp.settings import Connection
from tests.real.nested.machine import Machine
from tests.real.nested.programs import end
from tests.real.node import NodeUnfit, RealNode

_SCREEN_SECONDS = 20.0
_HANDSHAKE_SECONDS = 10.0


class Running:
    """QEMU, as a process that does not end with the terminal; its monitor is its standard input."""

    def __init__(self, machine: Machine, command: list[str]) -> None:
        self.machine = machine
        # What the monitor says back is an echo; what QEMU complains of it says on the other stream.
        with machine.complaints.open("wb") as said:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        assert self.process.stdin is not None
        self._monitor: IO[bytes] = self.process.stdin

    def tell(self, line: str) -> None:
        """Give QEMU's monitor a command; a machine that has ended hears nothing."""
        with suppress(BrokenPipeError):
            self._monitor.write(f"{line}\n".encode())
            self._monitor.flush()

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the machine has switched itself off.

        Raises:
            NodeUnfit: it has not, or QEMU failed.
        """
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NodeUnfit(f"The machine has not ended within {seconds:g} s.") from None
        if status != 0:
            raise NodeUnfit(f"QEMU ended with status {status}.")

    def wait_for_api(self, password: str, seconds: float) -> RealNode:
        """The node as root sees it, when its API answers.

        Raises:
            NodeUnfit: the machine ends, or the time is over, before it does.
        """
        until, pause, last = time.monotonic() + seconds, 0.1, "none was made"
        while self.process.poll() is None and time.monotonic() < until:
            try:
                node = RealNode(self._connection(password))
                try:
                    node.get("version")
                except BaseException:
                    node.close()
                    raise
            except (OSError, NodeUnfit, ProxmoxError, ResourceException) as error:
                last = str(error)
                time.sleep(pause)
                pause = min(pause * 1.5, 1.0)
            else:
                return node
        if self.process.poll() is not None:
            raise NodeUnfit("The machine ended by itself.")
        raise NodeUnfit(f"The machine's API has not answered within {seconds:g} s. The last attempt: {last}")

    def _connection(self, password: str) -> Connection:
        """How root reaches the machine.

        Nobody could know the machine's certificate beforehand, and the way to it leads over this computer's loopback
        alone: what is seen there is taken, and pinned.
        """
        address = ("127.0.0.1", self.machine.port)
        certificate = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(address, timeout=_HANDSHAKE_SECONDS))
        fingerprint = hashlib.sha256(certificate).hexdigest()
        return Connection(host=address[0], port=address[1], user="root@pam", password=password, fingerprint=fingerprint)

    def picture(self) -> Path | None:
        """The screen as it is now, as a PNG file; None when there is none to be had."""
        if self.process.poll() is not None:
            return None
        self.tell(f"screendump {self.machine.screen} -f png")
        until = time.monotonic() + _SCREEN_SECONDS
        while time.monotonic() < until:
            if self.machine.screen.is_file() and self.machine.screen.read_bytes().endswith(b"IEND\xaeB`\x82"):
                return self.machine.screen
            time.sleep(0.1)
        return None

    def shut_down(self, seconds: float) -> bool:
        """Press the power button; whether the machine switched itself off in time. It is off in any case."""
        self.tell("system_powerdown")
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        finally:
            self.end()
        return True

    def end(self) -> None:
        """Switch off at once."""
        end(self.process)
        with suppress(BrokenPipeError):
            self._monitor.close()
