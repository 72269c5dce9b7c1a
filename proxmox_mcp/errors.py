"""What can go wrong, and what the reader of the text should do about it.

    ProxmoxError                    every failure this server foresees; `str()` is the text the model reads
    ├── SettingsError               a setting is missing, malformed, or contradicts another one
    ├── InvalidArgument             an argument that no request to PVE could make right
    ├── ConnectionFailed            PVE gave no answer
    │   ├── Unreachable             no such host, connection refused, no route
    │   ├── TimedOut                no answer in time
    │   ├── CertificateUntrusted    the certificate is not one that this machine trusts
    │   ├── FingerprintMismatch     the certificate is not the pinned one
    │   └── NotProxmox              something answered, but not the PVE API
    ├── RequestRefused              PVE answered with an error: `status`, `reason`, `fields`, `method`, `path`
    │   ├── NotAuthenticated        401: wrong token or password
    │   ├── PermissionMissing       403: `privilege` and `acl_path` name what is missing, where PVE says so
    │   ├── BadParameters           400: `fields` says which, and why
    │   ├── UnknownGuest            no such vmid where it was looked for: `vmid`
    │   ├── UnknownNode             no node of that name: `node`
    │   ├── UnknownStorage          no storage of that name: `storage`
    │   ├── UnknownTask             no task with that UPID
    │   ├── NodeOffline             595 and 596: the node behind the one asked gives no answer
    │   ├── NoQuorum                the cluster takes no writes
    │   ├── Locked                  another task holds the guest, or its configuration file
    │   ├── ChangedMeanwhile        the digest is out of date
    │   ├── NotImplementedByPve     501
    │   └── PveFailed               any other error status
    ├── WrongNode                   the guest lives on another node than the one named
    ├── WrongKind                   a VM where a container was meant, or the other way round
    └── TaskFailed                  a task that was waited for ended with an error: `upid`, `reason`

Nothing here knows the MCP SDK: `server.py` turns a `ProxmoxError` into a tool's error.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


class ProxmoxError(Exception):
    """A foreseen failure: what happened, and what to do next.

    Args:
        what: one sentence that says what happened and why.
        advice: one sentence that says what to do about it; may be empty.
    """

    def __init__(self, what: str, advice: str = "") -> None:
        self.what = what
        self.advice = advice
        super().__init__(f"{what} {advice}".strip())


class SettingsError(ProxmoxError):
    """A setting is missing, malformed, or contradicts another; the text names the variable, or the file and key."""


class InvalidArgument(ProxmoxError):
    """An argument that no request to PVE could make right."""


class ConnectionFailed(ProxmoxError):
    """PVE gave no answer."""


class Unreachable(ConnectionFailed):
    """No such host, connection refused, or no route to it."""


class TimedOut(ConnectionFailed):
    """No answer in time; a write may nevertheless have been carried out."""


class CertificateUntrusted(ConnectionFailed):
    """The certificate of the host is not one that this machine trusts."""


class FingerprintMismatch(ConnectionFailed):
    """The certificate of the host is not the pinned one; nothing was sent."""


class NotProxmox(ConnectionFailed):
    """Something answered, but not the PVE API."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An error answer of PVE, and the request it answers.

    Attributes:
        status: HTTP status.
        reason: the reason phrase, which is where PVE puts the text of an error.
        fields: parameter name → what is wrong with it (`errors` in the body).
        method, path: the request, the path below `/api2/json`.
    """

    status: int
    reason: str
    method: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def request(self) -> str:
        """The request as a reader knows it: `GET /nodes`."""
        return f"{self.method} {self.path}"


class RequestRefused(ProxmoxError):
    """PVE answered with an error."""

    def __init__(self, what: str, advice: str = "", *, answer: Answer) -> None:
        super().__init__(what, advice)
        self.answer = answer
        self.status = answer.status
        self.reason = answer.reason
        self.fields = answer.fields
        self.method = answer.method
        self.path = answer.path


class NotAuthenticated(RequestRefused):
    """401: PVE does not know the token, or the password is wrong."""


class PermissionMissing(RequestRefused):
    """403: `privilege` on `acl_path` is missing; both are empty when PVE does not say."""

    def __init__(self, what: str, advice: str = "", *, answer: Answer, privilege: str = "", acl_path: str = "") -> None:
        super().__init__(what, advice, answer=answer)
        self.privilege = privilege
        self.acl_path = acl_path


class BadParameters(RequestRefused):
    """400: `fields` says which parameters are wrong, and why."""


class UnknownGuest(RequestRefused):
    """No guest `vmid` where it was looked for; `Guests.explain` adds where it is, or the nearest ids."""

    def __init__(self, what: str, advice: str = "", *, answer: Answer, vmid: int) -> None:
        super().__init__(what, advice, answer=answer)
        self.vmid = vmid


class UnknownNode(RequestRefused):
    """No node of that name in the cluster."""

    def __init__(self, what: str, advice: str = "", *, answer: Answer, node: str) -> None:
        super().__init__(what, advice, answer=answer)
        self.node = node


class UnknownStorage(RequestRefused):
    """No storage of that name."""

    def __init__(self, what: str, advice: str = "", *, answer: Answer, storage: str) -> None:
        super().__init__(what, advice, answer=answer)
        self.storage = storage


class UnknownTask(RequestRefused):
    """No task with that UPID on its node."""


class NodeOffline(RequestRefused):
    """595 and 596: the node that was asked for gives no answer to the node that was connected to."""


class NoQuorum(RequestRefused):
    """The cluster has no quorum and takes no writes."""


class Locked(RequestRefused):
    """Another task holds the guest, or its configuration file."""


class ChangedMeanwhile(RequestRefused):
    """The digest given is out of date: someone else changed the configuration."""


class NotImplementedByPve(RequestRefused):
    """501: this PVE has no such method."""


class PveFailed(RequestRefused):
    """Any other error status; the text is PVE's own."""


class WrongNode(ProxmoxError):
    """The guest lives on another node than the one named."""

    def __init__(self, vmid: int, named: str, actual: str) -> None:
        super().__init__(
            f"Guest {vmid} is on node {actual}, not on {named}.",
            f"Call again with node={actual}, or leave node out.",
        )
        self.vmid = vmid
        self.named = named
        self.actual = actual


class WrongKind(ProxmoxError):
    """A VM where a container was meant, or the other way round. `kind` is what the guest is: `qemu` or `lxc`."""

    def __init__(self, vmid: int, kind: str) -> None:
        is_vm = kind == "qemu"
        super().__init__(
            f"Guest {vmid} is a {'VM' if is_vm else 'container'}, not a {'container' if is_vm else 'VM'}.",
            f"Use the tool for {'VMs' if is_vm else 'containers'}.",
        )
        self.vmid = vmid
        self.kind = kind


class TaskFailed(ProxmoxError):
    """A task that was waited for ended with an error.

    Attributes:
        upid: the task.
        reason: its exit status, which is PVE's text of the error.
        log_tail: the last lines of its log.
    """

    def __init__(self, upid: str, reason: str, log_tail: Sequence[str], *, subject: str) -> None:
        self.upid = upid
        self.reason = reason
        self.log_tail = tuple(log_tail)
        shown = [line for line in log_tail if line != f"TASK ERROR: {reason}"]
        log = "".join(f"\n  {line}" for line in shown)
        super().__init__(
            f"The task failed: {subject}: {reason}",
            f"\nUPID: {upid}" + (f"\nLog before that:{log}" if log else ""),
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
    if _NO_TASK.search(answer.reason):
        return UnknownTask(
            f"PVE knows no such task ({answer.request}).",
            "Call get_cluster_tasks for the UPIDs of recent tasks.",
            answer=answer,
        )
    listed = "; ".join(f"{name}: {text.strip()}" for name, text in sorted(answer.fields.items()))
    return BadParameters(
        f"PVE refuses the parameters of {answer.request}: {listed or answer.reason.strip()}.",
        "Correct them and call again.",
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
        "Another task is at work on it: look with get_cluster_tasks, wait for that task, then call again.",
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
    """The error that an answer of PVE stands for, with advice.

    The texts matched are those of recorded exchanges with a genuine node.
    """
    if answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status](answer)
    for pattern, make in _BY_TEXT:
        if found := pattern.search(answer.reason):
            return make(answer, found)
    if answer.status == 501:
        return NotImplementedByPve(
            f"This PVE has no {answer.request}: {answer.reason.strip()}.",
            "It may be of another version; there is nothing to retry.",
            answer=answer,
        )
    return PveFailed(
        f"PVE answers {answer.request} with {answer.status}: {answer.reason.strip() or 'no reason given'}.",
        answer=answer,
    )
