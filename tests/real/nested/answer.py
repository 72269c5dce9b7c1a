"""The answer file of PVE's automated installer (documented at pve.proxmox.com, "Automated Installation")."""

from dataclasses import dataclass

MODE_FILE = "auto-installer-mode.toml"
ANSWER_FILE = "answer.toml"


@dataclass(frozen=True)
class Answers:
    """What the installer would ask. `disk` is the kernel's name of the machine's only disk."""

    password: str
    fqdn: str = "nested.pvemcp.test"
    mail: str = "root@pvemcp.test"
    country: str = "at"
    keyboard: str = "en-us"
    timezone: str = "UTC"
    filesystem: str = "ext4"
    disk: str = "vda"

    def toml(self) -> str:
        """The file. An ext4 installation has a thin pool of LVM, which the contracts make use of."""
        return "\n".join(
            [
                "[global]",
                *(f"{key} = {_quoted(value)}" for key, value in self._global().items()),
                "",
                "[network]",
                'source = "from-dhcp"',
                "",
                "[disk-setup]",
                f"filesystem = {_quoted(self.filesystem)}",
                f"disk-list = [{_quoted(self.disk)}]",
                "",
            ]
        )

    def _global(self) -> dict[str, str]:
        return {
            "keyboard": self.keyboard,
            "country": self.country,
            "fqdn": self.fqdn,
            "mailto": self.mail,
            "timezone": self.timezone,
            "root-password": self.password,
        }


def mode_toml() -> str:
    """What makes an installation medium install without asking: it takes the answers that lie on itself."""
    return 'mode = "iso"\n'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    if any(ord(character) < 32 for character in text):
        raise ValueError("an answer has no control characters")
    return f'"{escaped}"'
