"""Look the server over before anyone relies on it: connection, TLS, clock, token, privileges, and where it writes."""

import os
import re
import shlex
import time
from collections.abc import Iterable, Mapping
from typing import Any

from proxmox_mcp.errors import AuditUnwritable, ProxmoxError
from proxmox_mcp.pve import Pve
from proxmox_mcp.safety.audit import Audit
from proxmox_mcp.safety.files import Unsafe, default_folder, own_folder
from proxmox_mcp.safety.privileges import missed_by, needed_by_all
from proxmox_mcp.server import policy_of
from proxmox_mcp.settings import Settings
from proxmox_mcp.simulated import simulated
from proxmox_mcp.tooling import Declaration, chosen
from proxmox_mcp.tools import TOOLSETS

_MOST_SKEW = 5  # seconds; tickets and tokens that expire are judged by the node's clock


class _Findings:
    """What was found, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.healthy = True

    def good(self, what: str, text: str) -> None:
        self.lines.append(f"ok    {what}: {text}")

    def note(self, what: str, text: str) -> None:
        self.lines.append(f"note  {what}: {text}")

    def bad(self, what: str, text: str) -> None:
        self.lines.append(f"BAD   {what}: {text}")
        self.healthy = False


async def examine(settings: Settings, scenario: str | None = None, user: str = "root@pam") -> tuple[bool, list[str]]:
    """Examine a server as it would be started with these settings.

    Args:
        settings: the server's.
        scenario: of a simulated cluster, in place of that of the settings.
        user: as whom, on a simulated cluster.

    Returns:
        Whether all is well, and what was found.
    """
    found = _Findings()
    tools = chosen(TOOLSETS, settings)
    _files(settings, found)
    if scenario is None:
        _tls(settings, found)
    pve = Pve(settings) if scenario is None else simulated(settings, scenario, user=user)
    try:
        if await _connection(pve, found):
            await _clock(pve, found)
            await _token(pve, tools, found)
    finally:
        await pve.aclose()
    found.lines += ["", "A role with what these tools need and no more, as root on a node:", ""]
    found.lines += [f"  {line}" for line in role_lines(pve.user, settings.access, tools)]
    return found.healthy, found.lines


def _files(settings: Settings, found: _Findings) -> None:
    folder = settings.state_dir or default_folder()
    try:
        own_folder(folder)
        verified = Audit(folder).verify()
    except Unsafe as error:
        found.bad("state folder", f"{error}; writes are refused until it is the server's own")
        return
    except (OSError, AuditUnwritable) as error:
        found.bad("state folder", f"{folder} cannot be used ({error}); writes are refused without an audit")
        return
    if not os.access(folder, os.W_OK):
        found.bad("state folder", f"{folder} cannot be written; writes are refused without an audit")
    elif verified.problem and verified.lines:
        found.bad("audit", f"{verified.problem}; see proxmox-mcp audit verify")
    else:
        found.good("audit", f"{verified.lines} lines in {folder}")
    policy = policy_of(settings)
    if settings.policy is None:
        found.note("policy", "none is set; what destroys or interrupts is asked about, all else is allowed")
    else:
        found.good("policy", f"{len(policy.rules)} rules, {len(policy.protected)} protected, in {settings.policy}")
    if settings.approval == "model":
        found.note("approval", "PROXMOX_APPROVAL=model: the model confirms its own calls; no person is asked")


def _tls(settings: Settings, found: _Findings) -> None:
    if settings.fingerprint is not None:
        found.good("TLS", "only the certificate with the fingerprint that is set is accepted")
    elif not settings.verify_tls:
        found.bad(
            "TLS", "PROXMOX_VERIFY_TLS is off: credentials go to whoever answers; pin PROXMOX_FINGERPRINT instead"
        )
    else:
        by = f"the authority in {settings.ca_file}" if settings.ca_file else "the system's authorities"
        found.good("TLS", f"the certificate is checked against {by}")


async def _connection(pve: Pve, found: _Findings) -> bool:
    try:
        version = await pve.get("/version")
    except ProxmoxError as error:
        found.bad("connection", str(error))
        return False
    found.good("connection", f"{pve.cluster} is Proxmox VE {version.get('version')}, asked as {pve.user}")
    return True


async def _clock(pve: Pve, found: _Findings) -> None:
    try:
        before = time.time()
        answer = await pve.get("/nodes/localhost/time")
        here = (before + time.time()) / 2
    except ProxmoxError as error:
        found.note("clock", f"the node's cannot be read ({error})")
        return
    skew = int(answer["time"]) - here
    if abs(skew) <= _MOST_SKEW:
        found.good("clock", "the node's and this machine's agree")
    else:
        way = "ahead of" if skew > 0 else "behind"
        found.note("clock", f"the node's is {abs(skew):.0f} s {way} this machine's; ages and expiries go by the node's")


async def _token(pve: Pve, tools: Iterable[Declaration], found: _Findings) -> None:
    try:
        granted = await pve.get("/access/permissions")
    except ProxmoxError as error:
        found.bad("privileges", f"they cannot be read ({error})")
        return
    if "!" not in pve.user:
        found.note("token", f"{pve.user} is a user, not a token; a token can be taken back alone")
    if pve.user.startswith("root@pam"):
        found.note("token", "root may do everything: a user with a role of its own would bound what can go wrong")
    held = _held(granted)
    lacking = {tool.name: missing for tool in tools if (missing := missed_by(tool, held))}
    if not lacking:
        found.good("privileges", "all tools have what they need, on some path at least")
    for privileges in dict.fromkeys(lacking.values()):
        names = [name for name, missing in lacking.items() if missing == privileges]
        found.bad("privileges", f"{', '.join(privileges)} missing everywhere, for {', '.join(names)}")
    spare = sorted(held - set(needed_by_all(tools)))
    if spare:
        found.note("privileges", f"held and not needed by any tool: {', '.join(spare)}")


def _held(granted: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {privilege for privileges in granted.values() for privilege in privileges}


def role_lines(user: str, access: str, tools: Iterable[Declaration]) -> list[str]:
    """The commands that make a role, a user and a token with what these tools need, and no more."""
    userid, _, token = user.partition("!")
    name, _, realm = (userid if userid not in ("None", "root@pam") else "mcp@pve").partition("@")
    userid, token = f"{name}@{realm}", token or "assistant"
    role = "MCP" + re.sub(r"[^A-Za-z]", "", access).capitalize()
    privileges = " ".join(needed_by_all(tools))
    full = shlex.quote(f"{userid}!{token}")  # a shell would take ! for something else
    # Whoever pastes these is root: nothing that was set is more than a word of them.
    userid, token = shlex.quote(userid), shlex.quote(token)
    lines = [f"pveum role add {role} --privs {shlex.quote(privileges)}"]
    if realm == "pve":
        lines.append(f"pveum user add {userid}")
    return [
        *lines,
        f"pveum user token add {userid} {token} --privsep 1",
        f"pveum acl modify / --users {userid} --roles {role}",
        f"pveum acl modify / --tokens {full} --roles {role}",
    ]
