"""Which error an answer of PVE is: from status and reason phrase to what happened, and what to do next.

The texts matched are those of recorded exchanges with a genuine node.
"""

import re
from collections.abc import Callable

from proxmox_mcp.advice import advice_on
from proxmox_mcp.errors import (
    Answer,
    BadParameters,
    ChangedMeanwhile,
    Locked,
    NodeOffline,
    NoQuorum,
    NotAuthenticated,
    NotImplementedByPve,
    PermissionMissing,
    PveFailed,
    RequestRefused,
    UnknownGuest,
    UnknownNode,
    UnknownStorage,
    UnknownTask,
)

_PERMISSION = re.compile(r"Permission check failed \((?P<path>/[^,]*), (?P<privilege>[A-Za-z.|,& ]+)\)")
_NO_CONFIG = re.compile(r"onfiguration file 'nodes/(?P<node>[^/']+)/(?:qemu-server|lxc)/(?P<vmid>\d+)\.conf' does not")
_NO_CONFIG_ON_NODE = re.compile(
    r"unable to find configuration file for (?:VM|CT) (?P<vmid>\d+) on node '(?P<node>[^']+)'"
)
_NO_NODE = re.compile(r"(?:hostname lookup '(?P<host>[^']+)' failed|no such cluster node '(?P<name>[^']+)')")
_NO_STORAGE = re.compile(r"storage '(?P<storage>[^']+)' does not exist")
_LOCKED = re.compile(r"(?:VM|CT) is locked|can't lock file|got lock timeout|unable to acquire .*lock")
_QUORUM = re.compile(r"no quorum|cluster not ready", re.IGNORECASE)
_CHANGED = re.compile(r"checksum mismatch|detected modified configuration")
_NO_TASK = re.compile(r"no such task|unable to parse worker upid")


def _permission(answer: Answer) -> RequestRefused:
    found = _PERMISSION.search(answer.reason)
    if found is None:
        return PermissionMissing(
            f"Not permitted: {answer.reason} ({answer.request}).",
            "Grant the configured user or token a role that allows this, or do something else.",
            answer=answer,
        )
    privilege, acl_path = found["privilege"].strip(), found["path"]
    wanted = " or ".join(privilege.split("|"))
    return PermissionMissing(
        f"Not permitted: privilege {wanted} on path {acl_path} is missing ({answer.request}).",
        "Grant the configured user a role with it on that path; a token with privilege separation needs its own grant "
        "besides.",
        answer=answer,
        privilege=privilege,
        acl_path=acl_path,
    )


def _not_authenticated(answer: Answer) -> RequestRefused:
    return NotAuthenticated(
        f"PVE does not accept the login: {answer.reason or 'authentication failure'}.",
        "Check PROXMOX_USER (with its realm, as root@pam) and PROXMOX_TOKEN_NAME with PROXMOX_TOKEN_VALUE, or "
        "PROXMOX_PASSWORD; a token may have been deleted or have expired.",
        answer=answer,
    )


def _bad_parameters(answer: Answer) -> RequestRefused:
    if _NO_TASK.search(answer.fields.get("upid", answer.reason)):
        return UnknownTask(
            f"PVE knows no such task ({answer.request}).",
            "Call get_cluster_tasks for the UPIDs of recent tasks.",
            answer=answer,
        )
    texts = {name: "; ".join(text.strip().splitlines()) for name, text in sorted(answer.fields.items())}
    listed = "; ".join(f"{name}: {text}" for name, text in texts.items())
    return BadParameters(
        f"PVE refuses the parameters of {answer.request}: {listed or answer.reason.strip()}.",
        advice_on(listed) or "Correct them and call again.",
        answer=answer,
    )


def _offline(answer: Answer) -> RequestRefused:
    found = re.match(r"/nodes/([^/]+)", answer.path)
    node = found[1] if found else "asked for"
    return NodeOffline(
        f"Node {node} gives no answer: {answer.reason or 'connection failed'} (status {answer.status}).",
        "It is probably offline or cut off; call get_nodes to see, and use another node meanwhile.",
        answer=answer,
    )


def _unknown_guest(answer: Answer, found: re.Match[str]) -> RequestRefused:
    vmid = int(found["vmid"])
    return UnknownGuest(
        f"There is no guest {vmid} on node {found['node']}.",
        "Call get_vms or get_lxc_containers for the ids.",
        answer=answer,
        vmid=vmid,
    )


def _unknown_node(answer: Answer, found: re.Match[str]) -> RequestRefused:
    node = found["host"] or found["name"]
    return UnknownNode(
        f"There is no node {node} that this cluster can reach.",
        "Call get_nodes for the names.",
        answer=answer,
        node=node,
    )


def _unknown_storage(answer: Answer, found: re.Match[str]) -> RequestRefused:
    storage = found["storage"]
    return UnknownStorage(
        f"There is no storage {storage}.", "Call get_storage for the names.", answer=answer, storage=storage
    )


def _locked(answer: Answer, _found: re.Match[str]) -> RequestRefused:
    return Locked(
        f"{answer.reason.strip()} ({answer.request}).",
        advice_on(answer.reason),
        answer=answer,
    )


def _no_quorum(answer: Answer, _found: re.Match[str]) -> RequestRefused:
    return NoQuorum(
        f"The cluster has no quorum, so it takes no changes: {answer.reason.strip()}.",
        "Reading still works. Call get_cluster_status to see which nodes are missing.",
        answer=answer,
    )


def _changed(answer: Answer, _found: re.Match[str]) -> RequestRefused:
    return ChangedMeanwhile(
        f"The configuration was changed by someone else meanwhile: {answer.reason.strip()}.",
        "Read it again, look at what changed, then repeat the change on the new state.",
        answer=answer,
    )


_BY_STATUS: dict[int, Callable[[Answer], RequestRefused]] = {
    400: _bad_parameters,
    401: _not_authenticated,
    403: _permission,
    595: _offline,
    596: _offline,
}

# PVE answers most failures with status 500, so the text alone tells them apart.
_BY_TEXT: tuple[tuple[re.Pattern[str], Callable[[Answer, re.Match[str]], RequestRefused]], ...] = (
    (_NO_CONFIG, _unknown_guest),
    (_NO_CONFIG_ON_NODE, _unknown_guest),
    (_NO_NODE, _unknown_node),
    (_NO_STORAGE, _unknown_storage),
    (_LOCKED, _locked),
    (_QUORUM, _no_quorum),
    (_CHANGED, _changed),
)


def from_answer(answer: Answer) -> RequestRefused:
    """The error that an answer of PVE stands for, with advice."""
    if answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status](answer)
    for pattern, make in _BY_TEXT:
        if found := pattern.search(answer.reason):
            return make(answer, found)
    if answer.status == 501 and "not modelled by pvesim" in answer.reason:
        return NotImplementedByPve(
            f"The simulated cluster does not model {answer.request}.",
            "A real one has it; there is nothing to retry here.",
            answer=answer,
        )
    if answer.status == 501:
        return NotImplementedByPve(
            f"This PVE has no {answer.request}: {answer.reason.strip()}.",
            "It may be of another version; there is nothing to retry.",
            answer=answer,
        )
    told = answer.reason.strip() or "no reason given"
    return PveFailed(
        f"PVE answers {answer.request} with {answer.status}: {told if told.endswith(('!', '?')) else f'{told}.'}",
        advice_on(answer.reason),
        answer=answer,
    )
