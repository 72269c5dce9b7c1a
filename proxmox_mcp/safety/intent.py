"""What a call is about to touch, read off its arguments: the same for a named tool and for a raw request to the API.

Nothing is taken from what a tool is called or says about itself: a guest is touched when its id, or a volume or backup
of it, stands anywhere in the arguments. What is read too much here costs a question more; what is read too little would
be a way round the policy.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from proxmox_mcp.errors import InvalidArgument
from proxmox_mcp.safety.reach import lets_in, reaches_out
from proxmox_mcp.safety.touched import POOL_KEY, TAG_KEY, Touched, leaves, words
from proxmox_mcp.tooling import Arguments, Declaration, Risk

if TYPE_CHECKING:
    from proxmox_mcp.safety.api_table import Twin
    from proxmox_mcp.safety.api_twins import ApiCall

RAW_TOOL = "call_api"
EXEC_TOOL = "execute_vm_command"
STOP_TOOL = "stop_task"
# The toolset, and the path of the API, of users, tokens and permissions.
_MOST_CHARACTERS = 300_000  # of the arguments of a call; the longest that a tool takes have a fifth of that
_GRANTING = "access"
# Without guests named, these are on those of all guests.
_FOR_ALL = frozenset({"prune_backups", "delete_storage"})
_FOR_ALL_IF_HEAVY = frozenset(
    {"update_storage", "set_firewall_options", "add_firewall_rule", "update_firewall_rule", "delete_firewall_rule"}
)
# The nodes that it names are those where the storage stays, not those where it goes.
_WHEREVER = "update_storage"
# Their address, or storage, is of the caller's choice; or rights come with what they change.
_REACHING = frozenset({"download_from_url", "create_storage"})
_WITH_RIGHTS = {"update_pool": ("add_guests", "remove_guests", "add_storages", "remove_storages")}
# Tags there are those of networks.
_OTHER_TAGS = "networking"


@dataclass(frozen=True, slots=True)
class Intent:
    """What a call is about to do.

    Attributes:
        tools: the names it goes by: its own, and those of the tools that do the same as a raw request.
        guests: ids of all guests whose state, configuration, disks or backups it names.
        targets: those of them that it names as what it acts on, not in some text: to allow takes one of them.
        confined: it acts on nothing else; to allow it for what it names would otherwise allow more.
        relabels: which labels that rules know guests by it changes: `tags`, `pools`.
        everywhere: it is for all guests of the cluster, or, when nodes are named, for all of theirs.
        members_of: the pools whose guests it is for.
        somewhere: a node is named in a way that does not tell which one it is.
        command: what it runs inside a guest, word by word; empty when that cannot be told.
        grants: it gives rights, or reaches beyond the guest, which is how everything else could be got.
        lets_in: it lets somebody log in to a guest.
        stdin: what that command is given to read, which a shell would run.
    """

    tools: tuple[str, ...]
    risk: Risk
    interrupts: bool = False
    guests: frozenset[int] = frozenset()
    targets: frozenset[int] = frozenset()
    nodes: frozenset[str] = frozenset()
    storages: frozenset[str] = frozenset()
    pools: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    target_nodes: frozenset[str] = frozenset()
    target_storages: frozenset[str] = frozenset()
    confined: bool = True
    relabels: frozenset[str] = frozenset()
    everywhere: bool = False
    members_of: frozenset[str] = frozenset()
    somewhere: bool = False
    command: tuple[str, ...] | None = None
    stdin: str = ""
    grants: bool = False
    lets_in: bool = False

    @property
    def unnamed(self) -> bool:
        """Whether it is for guests that it does not name."""
        return self.everywhere or bool(self.members_of)

    @property
    def needs_approval(self) -> bool:
        """Whether it does without a policy that says so: it destroys, interrupts, or gives rights."""
        return self.risk is Risk.DESTROY or self.interrupts or self.grants


def normal(declaration: Declaration, arguments: Arguments) -> Arguments:
    """The arguments as they will be sent, for a raw request: what is judged, shown and sent must be one thing.

    Raises:
        InvalidArgument: no form could send them, or they are longer than anything PVE takes.
    """
    if declaration.name != RAW_TOOL:
        if (size := len(repr(arguments))) > _MOST_CHARACTERS:
            raise InvalidArgument(
                f"The arguments have {size} characters; at most {_MOST_CHARACTERS} are taken.",
                "Nothing that PVE takes is as long; give what is meant alone.",
            )
        return arguments
    from proxmox_mcp.api.forms import as_form

    params = as_form(str(arguments["method"]), str(arguments["path"]), arguments.get("params"))
    return {**arguments, "params": params or None}


def intent_of(declaration: Declaration, arguments: Arguments, user: str = "") -> Intent:
    """What a call of a declared tool is about to do.

    Args:
        declaration: the tool.
        arguments: of the call.
        user: as whom PVE is asked: to stop the task of another is to interrupt them.
    """
    risk = declaration.risk if declaration.risk_of is None else declaration.risk_of(arguments)
    interrupts = declaration.interrupts is not None and declaration.interrupts(arguments)
    name = declaration.name
    if name == RAW_TOOL:
        params = arguments.get("params") or {}
        asked = str(arguments.get("method", "GET")), str(arguments.get("path", ""))
        return of_request(*asked, params, user, about=arguments.get("about"))
    touched = Touched.by(arguments)
    writes = risk is not Risk.READ
    heavy = risk is Risk.DESTROY or interrupts
    on_all = heavy and (bool(touched.nodes) or name in _FOR_ALL_IF_HEAVY)
    opens = logs_in = False
    if writes and not any(arguments.get(key) is True for key in _LOOKING):
        rights = any(arguments.get(key) for key in _WITH_RIGHTS.get(name, ()))
        opens = declaration.toolset == _GRANTING or name in _REACHING or rights
        opens = opens or reaches_out(arguments, of_guest=declaration.toolset in _OF_GUESTS)
        logs_in = lets_in(arguments) and name not in _MAKERS
    relabels = _relabels({**arguments, "tool": name}) if writes and declaration.toolset != _OTHER_TAGS else frozenset()
    return _intent(
        touched,
        (name,),
        risk,
        interrupts or (name == STOP_TOOL and touched.task_users != {user}),
        relabels=relabels,
        everywhere=writes and (touched.everyone or (not touched.targets and (name in _FOR_ALL or on_all))),
        members_of=touched.whole_pools(name) if writes else frozenset(),
        somewhere=writes and (touched.somewhere or name == _WHEREVER),
        command=_command(arguments.get("command")) if name == EXEC_TOOL else None,
        stdin=str(arguments.get("input_data") or ""),
        grants=opens or logs_in,
        lets_in=logs_in,
    )


# Who makes a guest may log in to it.
_MAKERS = frozenset({"create_vm", "create_lxc", "clone_vm", "clone_lxc", "restore_backup", "provision_vm"})
# Their options are those of guests.
_OF_GUESTS = frozenset({"config", "creation", "hardware", "provisioning"})
# With these a tool only tells what it would do.
_LOOKING = frozenset({"preview", "check_only"})


def reading(tools: tuple[str, ...], path: str, params: Mapping[str, Any]) -> Intent:
    """What a GET looks at, for the tools that it is made for."""
    from proxmox_mcp.safety.api_twins import ApiCall

    touched = Touched.by(params)
    touched.places(ApiCall("GET", path).places())
    return _intent(touched, tools, Risk.READ, interrupts=False)


def of_request(
    method: str, path: str, params: Mapping[str, Any], user: str, by_tool: str = "", about: Any = None
) -> Intent:
    """What a request to the API is about to do.

    Args:
        method: GET, POST, PUT or DELETE.
        path: below `/api2/json`.
        params: as they are sent.
        user: as whom PVE is asked.
        by_tool: the product's own tool that makes it. A raw one is judged as the named tool that does the same; where
            there is none, as the worst that can be.
        about: what is there already under that path, where that names guests.
    """
    from proxmox_mcp.safety.api_twins import ApiCall, twin_of  # its patterns take time that a start can do without

    asked = ApiCall(method.upper(), path, dict(params))
    twin = twin_of(asked, by_tool)
    touched = Touched.by({**params, "about": about or {}})
    touched.places(asked.places())
    writes = twin.risk is not Risk.READ
    logs_in = writes and lets_in(params) and "create_vm" not in twin.tools and by_tool not in _MAKERS
    for_all = twin.everywhere or (bool(touched.nodes) and twin.worst)
    where = "/" + path.strip("/")
    return _intent(
        touched,
        _names(twin, by_tool),
        twin.risk,
        twin.interrupts or (STOP_TOOL in twin.tools and touched.task_users != {user}),
        relabels=_relabels({**params, "path": path}) if writes and not _SDN.match(where) else frozenset(),
        everywhere=writes and (touched.everyone or (not touched.targets and for_all)),
        members_of=touched.whole_pools(*twin.tools, where) if writes else frozenset(),
        somewhere=writes and (touched.somewhere or _WHEREVER in twin.tools),
        confined=bool(by_tool) or not (twin.worst or twin.everywhere) or _UNDER_GUEST.match(where) is not None,
        command=_command(params.get("command")) if EXEC_TOOL in twin.tools else None,
        stdin=str(params.get("input-data") or ""),
        grants=writes and (logs_in or _opens(twin, asked, where)),
        lets_in=logs_in,
    )


def _opens(twin: "Twin", asked: "ApiCall", where: str) -> bool:
    """Whether a write gives rights, or a guest what is its node's. A container is privileged unless told not to be."""
    making = "create_vm" in twin.tools
    privileged = making and where.endswith("/lxc") and not (asked.given & {"unprivileged", "restore"})
    rights = twin.grants or where.startswith(f"/{_GRANTING}")
    return rights or privileged or reaches_out(asked.params, of_guest=making or "update_vm_config" in twin.tools)


def _names(twin: "Twin", by_tool: str) -> tuple[str, ...]:
    """The tools whose rules hold for a request."""
    if not by_tool:
        return (RAW_TOOL, *(_unmatched_tools() if twin.worst else (*twin.tools, *twin.also)))
    others = () if by_tool in (*twin.tools, *twin.also) else twin.tools
    return tuple(dict.fromkeys((by_tool, *others, *twin.also)))


@cache
def _unmatched_tools() -> tuple[str, ...]:
    """The tools that write, and of which no raw request is known: one that is not known may do the work of any."""
    from proxmox_mcp.safety.api_twins import known_tools
    from proxmox_mcp.tools import TOOLSETS

    writing = [tool.name for toolset in TOOLSETS for tool in toolset.declarations if tool.risk is not Risk.READ]
    return tuple(name for name in writing if name != RAW_TOOL and name not in known_tools())


def _intent(touched: Touched, tools: tuple[str, ...], risk: Risk, interrupts: bool, **more: Any) -> Intent:
    return Intent(
        tools,
        risk,
        interrupts,
        guests=frozenset(touched.guests),
        targets=frozenset(touched.targets),
        nodes=frozenset(touched.nodes),
        target_nodes=frozenset(touched.target_nodes),
        storages=frozenset(touched.storages),
        target_storages=frozenset(touched.target_storages),
        pools=frozenset(touched.pools),
        tags=frozenset(touched.tags),
        **more,
    )


_SDN = re.compile(r"/cluster/sdn(?:/|$)")
_UNDER_GUEST = re.compile(r"/nodes/[^/]+/(?:qemu|lxc)/[^/]+/")


def _relabels(arguments: Arguments) -> frozenset[str]:
    """The labels that a write changes, however deep they stand; the members of a pool are changed through the pool."""
    changed = set()
    for key, value in leaves("", arguments):
        text = str(value)
        if (
            TAG_KEY.fullmatch(key)
            or (key == "tool" and "tag" in text)
            or text.startswith("tags=")
            or (key == "delete" and "tags" in words(text))
        ):
            changed.add("tags")
        if (
            POOL_KEY.fullmatch(key)
            or key == "vms"
            or (key == "tool" and "pool" in text)
            or (key == "path" and text.strip("/").startswith("pools"))
        ):
            changed.add("pools")
    return frozenset(changed)


def _command(given: Any) -> tuple[str, ...]:
    try:
        words = shlex.split(given) if isinstance(given, str) else [str(word) for word in given or ()]
    except ValueError:
        return ()
    return tuple(words)
