"""The operator's commands: answer requests for approval, check and explain the policy, read the audit, see the doctor.

What they show was written by models and guests in part: it is shown as text of one line each, and nothing in it that a
terminal would obey.
"""

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxmox_mcp.errors import InvalidArgument, ProxmoxError

if TYPE_CHECKING:
    from proxmox_mcp.safety.approval import Approvals, Request
    from proxmox_mcp.safety.audit import Audit
    from proxmox_mcp.settings import Settings

_FAILED = 1
_BAD_USE = 2

Config = Annotated[
    Path | None, typer.Option(help="TOML file with settings; PROXMOX_CONFIG does the same.", show_default=False)
]
StateDir = Annotated[Path | None, typer.Option(help="Folder of the audit and of approvals.", show_default=False)]
Code = Annotated[str, typer.Argument(metavar="CODE", help="As proxmox-mcp approvals shows it.")]

_LONGEST_IN_A_LIST = 2000  # characters of a call

policy_app = typer.Typer(help="Check and explain the policy.", no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(help="Read and verify the audit.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add the operator's commands to the command line."""
    app.command()(approvals)
    app.command()(approve)
    app.command()(deny)
    app.add_typer(policy_app, name="policy")
    app.add_typer(audit_app, name="audit")
    app.command()(doctor)


def _settings(config: Path | None, **options: Any) -> "Settings":
    from proxmox_mcp.settings import load_settings

    return load_settings(options, config=config)


def _fail(error: ProxmoxError, status: int = _BAD_USE) -> typer.Exit:
    print(f"proxmox-mcp: {error}", file=sys.stderr)
    return typer.Exit(status)


def _approvals(config: Path | None, state_dir: Path | None) -> "Approvals":
    from proxmox_mcp.safety.approval import Approvals
    from proxmox_mcp.safety.files import default_folder

    settings = _settings(config, state_dir=state_dir)
    return Approvals(settings.state_dir or default_folder(), settings.approval_minutes * 60)


def _audit(config: Path | None, state_dir: Path | None) -> "Audit":
    from proxmox_mcp.safety.audit import Audit
    from proxmox_mcp.safety.files import default_folder

    return Audit(_settings(config, state_dir=state_dir).state_dir or default_folder())


def approvals(config: Config = None, state_dir: StateDir = None) -> None:
    """List what waits for a person's approval."""
    try:
        listed = _approvals(config, state_dir).listed()
    except ProxmoxError as error:
        raise _fail(error) from None
    except OSError as error:
        raise _fail(ProxmoxError(f"The approvals cannot be read: {error.strerror or error}.")) from None
    waiting = [request for request in listed if request.state == "pending"]
    if not waiting:
        print("Nothing waits for approval.")
    for request in waiting:
        print(_shown(request, short=True), end="\n\n")
    if waiting:
        print("Answer with proxmox-mcp approve CODE, or proxmox-mcp deny CODE.")


def approve(code: Code, config: Config = None, state_dir: StateDir = None) -> None:
    """Approve one request: this call, on this guest, in the state shown; once.

    Only on a terminal: an assistant that can run commands must not be able to approve what it asks for itself.
    """
    if not sys.stdin.isatty():
        raise _fail(InvalidArgument("Approval is given by a person at a terminal.", "Run it in one."))
    store, request = _open_request(code, config, state_dir)
    print(_shown(request))
    if not typer.confirm("Approve exactly this?"):
        raise typer.Exit(_FAILED)
    _decide(store, request.code, True)


def deny(code: Code, config: Config = None, state_dir: StateDir = None) -> None:
    """Deny one request; the same is then refused without being asked for again, until the request expires."""
    store, request = _open_request(code, config, state_dir)
    _decide(store, request.code, False)


def _open_request(code: str, config: Path | None, state_dir: Path | None) -> "tuple[Approvals, Request]":
    try:
        store = _approvals(config, state_dir)
        request = store.find(code)
    except ProxmoxError as error:
        raise _fail(error) from None
    except OSError as error:
        raise _fail(ProxmoxError(f"The approvals cannot be read: {error.strerror or error}.")) from None
    if request is None:
        raise _fail(
            ProxmoxError(f"No open request has the code {_line(code)}.", "proxmox-mcp approvals lists them."), _FAILED
        )
    return store, request


def _decide(store: "Approvals", code: str, approved: bool) -> None:
    if store.decide(code, approved) is None:
        raise _fail(ProxmoxError(f"The request {code} has expired, or was answered by someone else."), _FAILED)
    print("Approved: the assistant can now make this call, once." if approved else "Denied.")


def _shown(request: "Request", *, short: bool = False) -> str:
    """A request as a person reads it; in a list of several a long one is cut, and whole when it is to be approved."""
    from proxmox_mcp.safety.case import cut

    minutes = max(0, round((request.until - datetime.now().timestamp()) / 60))
    call = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in request.arguments.items())
    if short and len(call) > _LONGEST_IN_A_LIST:
        call = f"{cut(call, _LONGEST_IN_A_LIST)}; proxmox-mcp approve shows all of it"
    lines = [
        f"{request.code}  {request.summary}",
        request.target,
        *request.facts,
        f"The call: {request.tool}({call})",
        f"On {request.cluster}; asked for by {request.client}; expires in {minutes} min",
    ]
    return "\n    ".join(_line(line) for line in lines)


def _line(text: str) -> str:
    from proxmox_mcp.safety.foreign import plain

    return plain(text)


@policy_app.command("check")
def policy_check(file: Annotated[Path, typer.Argument(help="The policy file.")]) -> None:
    """Check a policy file; what is wrong in it is told with its line."""
    from proxmox_mcp.safety.policy_file import load_policy

    try:
        policy = load_policy(file, _declared())
    except ProxmoxError as error:
        raise _fail(error) from None
    print(f"{file} is right: {len(policy.rules)} rules, {len(policy.protected)} protected.")


@policy_app.command("explain")
def policy_explain(
    tool: Annotated[str, typer.Argument(help="A tool's name.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[ARGS]...", help="Its arguments: name=value, or one JSON object.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Another policy than the one that is set.")] = None,
    simulate: Annotated[
        str | None, typer.Option(metavar="SCENARIO", help="Ask a simulated cluster about the guests.")
    ] = None,
    config: Config = None,
) -> None:
    """Tell what would become of a call, and why, without making it. The cluster is asked about the guests it names."""
    import anyio

    from proxmox_mcp.safety.explain import explain

    try:
        settings = _settings(config, policy=policy)
        told = anyio.run(explain, settings, tool, _arguments(arguments or []), simulate)
    except ProxmoxError as error:
        raise _fail(error) from None
    print("\n".join(told))


def _arguments(given: list[str]) -> dict[str, Any]:
    if len(given) == 1 and given[0].lstrip().startswith("{"):
        try:
            return dict(json.loads(given[0]))
        except ValueError as error:
            raise InvalidArgument(f"The arguments are not JSON: {error}.") from None
    pairs = [pair.partition("=") for pair in given]
    if wrong := next((name for name, sign, _ in pairs if not sign), None):
        raise InvalidArgument(f"{wrong!r} is no argument.", "Write name=value, or one JSON object.")
    return {name: value for name, _, value in pairs}


def _declared() -> list[str]:
    from proxmox_mcp.tools import TOOLSETS

    return [declaration.name for toolset in TOOLSETS for declaration in toolset.declarations]


@audit_app.command("show")
def audit_show(
    last: Annotated[int, typer.Option(min=1, help="How many lines.")] = 20,
    guest: Annotated[int | None, typer.Option(help="Only those on this guest.")] = None,
    tool: Annotated[str | None, typer.Option(help="Only those of this tool.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are kept.")] = False,
    config: Config = None,
    state_dir: StateDir = None,
) -> None:
    """Show the last lines of the audit."""
    try:
        records = list(_audit(config, state_dir).records())
    except ProxmoxError as error:
        raise _fail(error) from None
    of_guest = {record.get("call") for record in records if guest in record.get("guests", ())}
    chosen = [
        record
        for record in records
        if (guest is None or record.get("call") in of_guest) and tool in (None, record.get("tool"))
    ]
    for record in chosen[-last:]:
        print(json.dumps(record) if as_json else _line(_told(record)))


def _told(record: dict[str, Any]) -> str:
    event = record.get("event")
    head = f"{record.get('time', '')[:19]} {record.get('call')} {event} {record.get('tool')}"
    if event == "end":
        upids = " ".join(record.get("upids", ()))
        return f"{head}: {record.get('result')} {record.get('error', '')} after {record.get('seconds')} s {upids}"
    call = json.dumps(record.get("arguments", {}), ensure_ascii=False)
    what = {"begin": f"approved by: {record.get('approval')}", "refused": str(record.get("reason"))}
    return f"{head} {call} by {record.get('client')} as {record.get('user')}: {what.get(str(event), '')}"


@audit_app.command("verify")
def audit_verify(
    expect: Annotated[
        str | None, typer.Option(metavar="HASH", help="A hash noted before, which must still be there.")
    ] = None,
    config: Config = None,
    state_dir: StateDir = None,
) -> None:
    """Check that no line of the audit was changed, taken out or put in."""
    try:
        audit = _audit(config, state_dir)
    except ProxmoxError as error:
        raise _fail(error) from None
    found = audit.verify()
    if not found.problem and expect and not any(record.get("hash") == expect for record in audit.records()):
        raise _fail(ProxmoxError(f"No line has the hash {expect}: lines are missing."), _FAILED)
    if found.problem:
        raise _fail(ProxmoxError(f"{audit.path}: {found.problem}."), _FAILED)
    print(f"{found.lines} lines are as they were written. The last has the hash {found.last}")


def doctor(
    simulate: Annotated[
        str | None, typer.Option(metavar="SCENARIO", help="Examine the server on a simulated cluster.")
    ] = None,
    user: Annotated[str, typer.Option(help="With --simulate: as whom.")] = "root@pam",
    access: Annotated[
        str | None, typer.Option(help="For which access level; that of the settings if not given.")
    ] = None,
    config: Config = None,
) -> None:
    """Check the connection, TLS, the clock, the token, and its privileges against the tools; tell what to set right."""
    import anyio

    from proxmox_mcp.safety.doctor import examine

    try:
        settings = _settings(config, access=access)
        healthy, told = anyio.run(examine, settings, simulate, user)
    except ProxmoxError as error:
        raise _fail(error) from None
    print("\n".join(_colourless(line) for line in told))
    if not healthy:
        raise typer.Exit(_FAILED)


def _colourless(line: str) -> str:
    from proxmox_mcp.safety.foreign import visible

    return os.linesep.join(visible(part) for part in line.split("\n"))
