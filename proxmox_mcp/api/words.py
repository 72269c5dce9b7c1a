"""The words that people use, and those that stand in the paths of PVE's API."""

import re
from collections.abc import Iterator
from functools import cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Several words that mean one thing, before a phrase is taken apart.
_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), word)
    for pattern, word in (
        (r"virtual machines?|vms?", "qemu"),
        (r"(?:lxc )?containers?|cts?", "lxc"),
        (r"^(?:back(?:ing)?[ -]up|backup(?= a| the| this| qemu| guest| lxc))", "vzdump"),
        (r"back(?:ing|ed|s)?[ -]ups?(?! job)", "backup"),
        (r"rolled back|roll(?:ing|s)?[ -]back|go(?:ing)? back", "rollback"),
        (r"snap[ -]shots?", "snapshot"),
        (r"high[ -]availability", "ha"),
        (r"turn(?:ing|ed)? on|power(?:ing|ed)? on|boot(?:ing)?(?: up)?", "start"),
        (r"turn(?:ing|ed)? off|power(?:ing|ed)? off|switch(?:ing)? off", "shutdown"),
        (r"cloud[ -]init", "cloudinit"),
        (r"cloud images?", "image"),
        (r"two[ -]factor|second factor|2fa", "tfa"),
        (r"s\.?m\.?a\.?r\.?t\.?", "smart"),
        (r"ip addresses|ip address|ips", "address"),
        (r"no backups?|without (?:a )?backups?|not backed up", "unprotected"),
        (r"iso (?:images?|files?)|isos?", "iso"),
        (r"wake(?:ning)?[ -]on[ -]lan|wake up", "wakeonlan"),
        (r"load balanc\w+", "placement"),
        (r"file systems?", "filesystem"),
        (r"hard ?drives?|physical dis[ck]s?", "physicaldisk"),
        (r"name servers?", "dns"),
        (r"lxc templates?|appliances?", "appliance"),
        (r"api tokens?", "token"),
        (r"log(?:ging|ged|s)? in|sign(?:ed|ing)? in", "login"),
        (r"shut(?:ting|s)?[ -]down", "shutdown"),
        (r"join(?:ing)? (?:a |the )?(?:node|cluster)", "join"),
        (r"security groups?", "securitygroup"),
        (r"ip sets?", "ipset"),
    )
)

_SHORTEST = 3
"""The shortest word that another one is taken to be run together with."""

_STOP = _words(
    "a an the of to for in on at by with from into and or is are be do does did i we you me my our your "
    "it its this that these those there some any one how can could should would want wants need "
    "please which what who where when than pve proxmox api via using use get's have has had out off up "
    "down about against over under as so if else us sure new's work works current currently given "
    "other another running available"
)

# What a word also stands for: words of paths, or words of the glosses below.
_MEANS: dict[str, tuple[str, ...]] = {
    "memory": ("ram", "config"),
    "cores": ("cpu", "config"),
    "rename": ("config",),
    "settings": ("config", "options"),
    "setting": ("config", "options"),
    "configuration": ("config",),
    "reconfigure": ("config",),
    "copy": ("clone",),
    "duplicate": ("clone",),
    "relocation": ("migrate",),
    "grow": ("resize",),
    "enlarge": ("resize",),
    "bigger": ("resize",),
    "expand": ("resize",),
    "kill": ("stop",),
    "halt": ("stop",),
    "pause": ("suspend",),
    "hibernate": ("suspend",),
    "unpause": ("resume",),
    "restart": ("reboot", "restart"),
    "account": ("users", "account"),
    "person": ("users",),
    "rights": ("acl", "permissions"),
    "right": ("acl", "permissions"),
    "permission": ("acl", "permissions"),
    "privilege": ("roles", "permissions"),
    "grant": ("acl",),
    "revoke": ("acl",),
    "group": ("groups", "group"),
    "realm": ("domains",),
    "ldap": ("domains",),
    "cert": ("certificates",),
    "certificate": ("certificates",),
    "tls": ("certificates",),
    "ssl": ("certificates",),
    "letsencrypt": ("acme",),
    "disc": ("disk",),
    "drive": ("disk",),
    "volume": ("content", "disk"),
    "usage": ("status", "rrddata"),
    "graph": ("rrddata",),
    "history": ("rrddata", "tasks"),
    "statistics": ("rrddata",),
    "load": ("status", "rrddata"),
    "health": ("status",),
    "console": ("vncproxy", "termproxy"),
    "terminal": ("termproxy",),
    "shell": ("termproxy", "vncshell"),
    "vnc": ("vncproxy",),
    "spice": ("spiceproxy",),
    "job": ("jobs", "backup"),
    "schedule": ("jobs", "backup"),
    "scheduled": ("jobs", "backup"),
    "nightly": ("jobs", "backup"),
    "retention": ("prunebackups",),
    "prune": ("prunebackups",),
    "old": ("prunebackups",),
    "package": ("apt",),
    "packages": ("apt",),
    "upgrade": ("apt", "update"),
    "patches": ("apt", "update"),
    "repository": ("repositories",),
    "daemon": ("services",),
    "service": ("services",),
    "journald": ("journal",),
    "messages": ("syslog", "journal"),
    "event": ("log", "tasks"),
    "activity": ("tasks", "log"),
    "operation": ("tasks",),
    "bridge": ("network",),
    "bond": ("network",),
    "nic": ("network", "interfaces"),
    "vlan": ("network", "vnets"),
    "interface": ("network", "interfaces"),
    "rule": ("rules",),
    "port": ("rules",),
    "block": ("rules",),
    "alias": ("aliases",),
    "gpu": ("pci",),
    "passthrough": ("pci", "mapping"),
    "clock": ("time",),
    "timezone": ("time",),
    "license": ("subscription",),
    "licence": ("subscription",),
    "email": ("sendmail", "smtp", "notifications"),
    "mail": ("sendmail", "smtp", "notifications"),
    "notification": ("notifications",),
    "alert": ("notifications",),
    "inside": ("agent",),
    "command": ("exec", "execute"),
    "run": ("exec",),
    "file": ("file",),
    "url": ("download", "url"),
    "fetch": ("download",),
    "metric": ("metrics",),
    "influxdb": ("metrics", "server"),
    "graphite": ("metrics", "server"),
    "quorum": ("status", "config"),
    "corosync": ("config", "totem"),
    "free": ("nextid",),
    "unused": ("nextid", "unlink"),
    "id": ("nextid",),
    "password": ("password",),
    "replicate": ("replication",),
    "mirror": ("replication",),
    "freeze": ("fsfreeze", "freeze"),
    "thaw": ("fsfreeze", "thaw"),
    "trim": ("fstrim",),
    "import": ("import", "download"),
    "wipe": ("wipedisk",),
    "erase": ("wipedisk",),
    "unlock": ("unlock",),
    "detach": ("unlink",),
    "feature": ("feature",),
    "scan": ("scan",),
    "discover": ("scan",),
    "move": ("migrate", "move"),
    "evacuate": ("migrateall",),
    "allowed": ("permissions",),
    "initialise": ("initialize",),
    "factor": ("tfa",),
    "member": ("groups", "members"),
    "trash": ("delete",),
    "protect": ("protected",),
    "maintenance": ("maintenance",),
    "everything": ("all",),
    "every": ("all",),
    "address": ("interfaces", "network"),
    "physicaldisk": ("disks",),
    "filesystem": ("fsinfo",),
    "securitygroup": ("groups", "firewall"),
    "image": ("content", "download"),
    "iso": ("content", "download", "upload"),
    "template": ("template",),
    "appliance": ("aplinfo",),
    "unprotected": ("not", "backed", "backup"),
    "guest": ("qemu", "lxc", "guest"),
    "machine": ("qemu", "nodes"),
    "host": ("nodes",),
    "hypervisor": ("nodes",),
    "server": ("nodes", "server"),
    "hostname": ("hosts",),
}

# What a part of a path is about, beside the words in it.
_GLOSSES: dict[str, str] = {
    "aplinfo": "appliance template download catalogue",
    "vzdump": "backup now",
    "acl": "permission access rights grant revoke role user",
    "prunebackups": "prune old backup remove retention keep",
    "content": "volume iso image template file disk upload allocate backup",
    "rrddata": "statistics history graph usage metric time series",
    "nextid": "next free id vmid",
    "not-backed-up": "guest backup missing unprotected",
    "backup-info": "backup",
    "included_volumes": "backup job disk covered",
    "domains": "realm authentication ldap ad openid",
    "apt": "package update",
    "journal": "log systemd",
    "syslog": "log system",
    "replication": "job replicate storage",
    "resources": "everything inventory guest node storage overview",
    "extractconfig": "backup configuration read",
    "download-url": "download fetch iso image url",
    "unlink": "detach disk remove unused",
    "move_disk": "storage disk",
    "move_volume": "storage volume disk mount",
    "resize": "disk size grow enlarge",
    "exec": "command program",
    "network-get-interfaces": "ip address agent",
    "wakeonlan": "wake node",
    "smart": "health physicaldisk disk",
    "pci": "passthrough gpu device hardware",
    "usb": "device hardware",
    "nodes": "node",
    "startall": "start all guest",
    "stopall": "stop all guest shutdown",
    "migrateall": "migrate all guest evacuate node",
    "suspendall": "suspend all guest",
    "manager_status": "ha state",
    "pending": "change waiting reboot config",
    "feature": "supported possible snapshot clone",
    "template": "convert",
    "time": "clock timezone",
    "subscription": "license key",
    "aliases": "firewall name address",
    "macros": "firewall predefined",
    "tfa": "factor authentication",
    "file-read": "file contents agent",
    "file-write": "file contents agent",
    "set-user-password": "password agent user",
    "sendkey": "key press keyboard",
    "join": "add node cluster",
    "qdevice": "quorum device",
    "report": "support information diagnostics",
    "netstat": "network traffic guest",
    "cloudinit": "regenerate dump",
    "schedule-analyze": "calendar schedule event when next",
    "schedule_now": "replication run start now",
    "spiceproxy": "console",
    "vncproxy": "console",
    "termproxy": "console terminal",
    "initgpt": "initialize partition table disk empty new",
    "wipedisk": "erase clean",
    "lvmthin": "thin pool",
    "file-restore": "file folder backup contents restore single",
    "get-fsinfo": "filesystem disk space usage mounted",
    "get-users": "login people logged",
    "get-osinfo": "operating system",
    "dump": "generated configuration",
    "unlock-tfa": "second factor locked",
    "sync": "synchronize ldap ad users",
    "repositories": "package source",
    "changelog": "package change news",
    "custom": "own uploaded",
    "ceph": "storage",
    "osd": "disk",
    "mon": "monitor",
    "metadata": "information",
    "mtunnel": "migration tunnel",
    "hosts": "file name address",
    "execute": "batch commands",
    "targets": "notification",
    "endpoints": "notification mail",
    "matchers": "notification rule",
    "groups": "group member",
}

# What single methods do that their paths do not say.
_METHODS: dict[tuple[str, str], str] = {
    ("POST", "/nodes/{node}/status"): "reboot shutdown restart node power host",
    ("DELETE", "/nodes/{node}/tasks/{upid}"): "stop abort cancel kill task",
    (
        "PUT",
        "/nodes/{node}/qemu/{vmid}/config",
    ): "memory ram core cpu rename name option disk cdrom nic tag description",
    ("PUT", "/nodes/{node}/lxc/{vmid}/config"): "memory ram core cpu rename name option mount nic tag description",
    ("GET", "/nodes/{node}/status"): "load memory cpu usage uptime node",
    ("GET", "/access/permissions"): "permission effective user may",
    ("PUT", "/access/acl"): "grant role user permission",
    ("POST", "/nodes/{node}/vzdump"): "backup guest",
    ("GET", "/cluster/ha/status/current"): "ha status state",
    ("POST", "/cluster/ha/resources"): "guest ha",
    ("GET", "/nodes/{node}/aplinfo"): "appliance template",
    ("POST", "/nodes/{node}/lxc/{vmid}/migrate"): "move node",
    ("POST", "/nodes/{node}/qemu/{vmid}/migrate"): "move node",
    ("GET", "/cluster/status"): "cluster quorum node online",
    ("GET", "/cluster/resources"): "everything all guest inventory search",
    ("GET", "/nodes/{node}/storage/{storage}/content"): "iso image template backup volume disk list",
    ("POST", "/nodes/{node}/storage/{storage}/content"): "allocate disk image volume",
    ("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}"): "iso image template backup volume disk file",
    ("GET", "/nodes/{node}/storage/{storage}/status"): "space free used usage storage",
    ("GET", "/nodes/{node}/apt/update"): "package update upgrade",
    ("POST", "/nodes/{node}/apt/update"): "refresh package index update",
    ("GET", "/nodes/{node}/apt/versions"): "installed package version",
    ("PUT", "/nodes/{node}/network"): "apply reload network change",
    ("DELETE", "/nodes/{node}/network"): "revert network change",
    ("PUT", "/cluster/sdn"): "apply sdn change reload",
    ("GET", "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces"): "ip address",
    ("GET", "/nodes/{node}/lxc/{vmid}/interfaces"): "ip address",
    ("PUT", "/access/users/{userid}"): "user enable disable expire email",
    ("GET", "/nodes/{node}/tasks"): "task history activity",
    ("GET", "/cluster/tasks"): "task recent",
    ("GET", "/cluster/log"): "cluster log event",
}

# Words that say what is to be done, and nothing about what it is done to.
_VERBS = _words(
    "list show read see view look display find check tell query describe get many create add make define "
    "insert delete remove destroy drop change set edit modify alter take open give grant revoke renew "
    "turn configure put enable disable"
)

ACTIONS: dict[str, frozenset[str]] = {
    "GET": _words("list show read see view look display find check tell query status info describe get many"),
    "POST": _words(
        "create add make define register allocate insert upload download start stop run send take open clone "
        "migrate move rollback reboot restart reset suspend resume pause wake convert vzdump join "
        "order issue request initialize test ping"
    ),
    "PUT": _words(
        "change update set edit modify configure rename reconfigure enable disable alter grant renew turn grow"
    ),
    "DELETE": _words("delete remove destroy drop erase revoke cancel abort"),
}


@cache
def stem(word: str) -> str:
    """A word without the endings that make a plural or a participle of it."""
    for ending, least in (("ies", 5), ("sses", 6), ("ing", 6), ("ed", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith(("ss", "us", "is", "tus")):
            base = word[: -len(ending)]
            if ending == "ies":
                return f"{base}y"
            if ending == "sses":
                return f"{base}ss"
            doubled = ending in {"ing", "ed"} and len(base) > 2 and base[-1] == base[-2] and base[-1] not in "ls"
            base = base[:-1] if doubled else base
            return (
                base.removesuffix("e") if ending in {"ing", "ed"} else base.removesuffix("e") if len(base) > 4 else base
            )
    return word.removesuffix("e") if len(word) > 4 else word


def words_of(text: str) -> Iterator[str]:
    """The words of a phrase, lowered, without those that say nothing; several that mean one thing are one."""
    lowered = text.lower()
    for pattern, word in _PHRASES:
        lowered = pattern.sub(word, lowered)
    for word in re.findall(r"[a-z0-9]+", lowered):
        if word not in _STOP and len(word) > 1:
            yield word


def is_verb(word: str) -> bool:
    """Whether a word says what is to be done, and nothing about what it is done to."""
    return word in _VERBS


def meanings(word: str) -> set[str]:
    """The stems that a word of a phrase is looked for by, its own first."""
    also = _MEANS.get(word) or _MEANS.get(word.removesuffix("s")) or ()
    return {stem(part) for part in also}


def segment_words(segment: str) -> set[str]:
    """The stems that a part of a path answers to by its own name."""
    return {stem(part) for part in re.split(r"[-_]", segment.lower())} | {stem(segment.lower())}


def compound_words(segment: str, known: frozenset[str]) -> set[str]:
    """The stems of the words that a part of a path is run together from: `extractconfig`, `prunebackups`, `wipedisk`.

    Args:
        segment: the part.
        known: whole parts of paths, of which such words end or begin with one.
    """
    found: set[str] = set()
    for part in re.split(r"[-_]", segment.lower()):
        for cut in range(_SHORTEST, len(part) - _SHORTEST + 1):
            before, behind = part[:cut], part[cut:]
            if behind in known or before in known:
                found |= {stem(before), stem(behind)}
    return found


def gloss_words(segment: str) -> set[str]:
    """The stems that a part of a path answers to because of what it is about."""
    return {stem(part) for part in _GLOSSES.get(segment, "").split()}


def method_words(verb: str, path: str) -> set[str]:
    """The stems that a method answers to although its path does not hold them."""
    return {stem(part) for part in _METHODS.get((verb, path), "").split()}
