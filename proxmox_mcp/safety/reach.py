"""Options that reach beyond a guest: to its node's files and devices, or into the guest itself.

Whoever may set them gets more than the guest: so a person is asked, whatever the tool is that takes them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# Run on the node or are of the node: commands, scripts, snippets, devices, directories.
_OF_THE_NODE = re.compile(r"args|hookscript|cicustom|lxc(?:\..*)?|entrypoint|(?:hostpci|usb|parallel|virtiofs|dev)\d+")
# What may begin with a slash, and is no file of the node: words, and the time zone of a container.
_WORDS = frozenset(
    {"description", "name", "notes", "text", "password", "sshkeys", "ssh_keys", "timezone", "searchdomain", "tags"}
)
_HARMLESS = re.compile(r"socket|spice(?:,usb3=[01])?", re.IGNORECASE)
# What a container does with its node's kernel.
_FEATURES = re.compile(r"(?:^|[,;\s])(?:mount=|mknod=(?!0)|force_rw_sys=(?!0))")
_DISK = re.compile(r"(?:scsi|virtio|ide|sata|efidisk|tpmstate|mp)\d+|rootfs")
_CARD = re.compile(r"net\d+")
_PLUGGED = re.compile(rf"{_DISK.pattern}|{_CARD.pattern}")
_LOGINS = frozenset({"ciuser", "cipassword", "sshkeys"})
_OFF = frozenset({"0", "false", "no", "off"})


def reaches_out(arguments: Mapping[str, Any], *, of_guest: bool) -> bool:
    """Whether options give a guest what is its node's, or take away what keeps it in or guards it.

    Args:
        arguments: the options, or what holds them.
        of_guest: they are of a guest, so that a path in one of them is one on its node.
    """
    for key, value in _options(arguments):
        text = str(value).strip()
        if _OF_THE_NODE.fullmatch(key) and not _HARMLESS.fullmatch(text):
            return True
        if of_guest and key not in _WORDS and any(_is_of_the_node(part) for part in text.split(",")):
            return True
        if key == "features" and _FEATURES.search(text):
            return True
        if key in {"unprivileged", "protection"} and text.lower() in _OFF:
            return True
        if key == "delete" and "protection" in re.split(r"[\s,;]+", text):
            return True
    return False


def _is_of_the_node(part: str) -> bool:
    """Whether a part of an option is a path on the node: PVE takes the parts in any order, by name or as the first."""
    name, equals, value = part.strip().partition("=")
    return name != "mp" and (value if equals else name).strip().startswith("/")


def unplugs(options: Mapping[str, Any], unset: Iterable[str]) -> bool:
    """Whether a change of a guest's options takes something from it that it may be at work with.

    A disk that is set may take the place of another, which is then unused, and a card that of another; a medium in a
    drive takes nothing away. A template does not run any more, and what has a lock cannot be worked with.
    """
    if any(_PLUGGED.fullmatch(key) for key in unset):
        return True
    for key, value in options.items():
        text = str(value)
        if key in {"template", "lock"} or _CARD.fullmatch(key):
            return True
        if _DISK.fullmatch(key) and not (key.startswith("ide") and _is_medium(text)):
            return True
    return False


def _is_medium(text: str) -> bool:
    """Whether a drive gets an image, cloud-init, or nothing; another guest's disk may be called a medium, too."""
    parts = [part.strip().partition("=") for part in text.split(",")]
    volume = next((value if equals else name for name, equals, value in parts if name == "file" or not equals), "")
    return volume in {"none", "cdrom"} or ":iso/" in volume or volume.endswith("cloudinit")


def lets_in(arguments: Mapping[str, Any]) -> bool:
    """Whether options let somebody log in to a guest."""
    return any(key in _LOGINS for key, _ in _options(arguments))


def _options(arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every option with its value, also where options stand in a map of their own; those of a list one by one."""
    for key, value in arguments.items():
        if isinstance(value, Mapping):
            yield from _options(value)
        elif isinstance(value, list | tuple):
            yield from ((str(key), item) for item in value)
        elif value is not None:
            yield str(key), value
