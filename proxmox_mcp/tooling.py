"""How a tool is declared, and what is made of the declaration.

    lifecycle = Toolset("lifecycle", "Start and stop guests")

    @lifecycle.tool(risk=Risk.OPERATE, title="Start a VM")
    async def start_vm(call: Call, vmid: Vmid, node: NodeName | None = None) -> TaskResult:
        "Start a VM. Ends at once; follow the task with wait_for_task."
        guest = await call.guests.find(vmid, node, "qemu", check=True)
        return await call.tasks.follow(await call.pve.post(f"{guest.path}/status/start"), 0)

A tool is a plain coroutine function. Its first parameter is the `Call`; the model sees the others, and the docstring.
It returns a `Result` and raises a `ProxmoxError` for what it foresees. So a test, or a rehearsal on a copy of the
cluster, calls it with a `Call` of its own.

What may be lost or interrupted is done with a person's approval only. That is no tool's business: `safety.gate` stands
before every call. A declaration tells it what it must know:

    async def preview_delete_vm(call: Call, vmid: int, node: str | None = None) -> Preview:
        guest = await call.guests.find(vmid, node, "qemu", check=True)
        return await preview_of(call, guest, "Delete it, its disks and its snapshots.")

    @lifecycle.tool(risk=Risk.DESTROY, title="Delete a VM", preview=preview_delete_vm)
"""

import difflib
import inspect
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, partial
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import ConfigDict, Field, PrivateAttr, ValidationError, create_model

from proxmox_mcp.errors import SettingsError
from proxmox_mcp.locate import Guests
from proxmox_mcp.pve import Pve
from proxmox_mcp.results import Preview, Result
from proxmox_mcp.schemas import kept_schema, made_schema
from proxmox_mcp.settings import Access, Settings
from proxmox_mcp.tasks import Report, Tasks

Vmid = Annotated[int, Field(ge=100, le=999_999_999, description="Guest id")]
NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$", description="Node name")]
StorageName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]$", description="Storage name")]
UpidText = Annotated[str, Field(max_length=512, description="Task id, as a tool that started a task returned it")]
Limit = Annotated[int, Field(ge=1, le=500, description="How many at most")]
Cursor = Annotated[str, Field(max_length=512, description="next_cursor of the page before")]
WaitSeconds = Annotated[int, Field(ge=0, le=3600, description="Wait so long for the task's end; 0: only start it")]


class Risk(StrEnum):
    """What a tool may do to the cluster."""

    READ = "read"
    """Nothing: it looks."""
    OPERATE = "operate"
    """Change what runs, not what is configured or stored."""
    CHANGE = "change"
    """Change what is configured or stored; nothing is lost."""
    DESTROY = "destroy"
    """Data or configuration may be lost for good."""


ALLOWED: dict[Access, frozenset[Risk]] = {
    "read": frozenset({Risk.READ}),
    "operate": frozenset({Risk.READ, Risk.OPERATE}),
    "admin": frozenset(Risk),
}
"""The risks that an access level allows."""


async def _report_nothing(progress: float, total: float | None, text: str) -> None:
    """For callers without a client that wants to know."""


@dataclass(frozen=True, slots=True)
class Call:
    """What one call of a tool works with.

    Attributes:
        pve: the cluster.
        guests: finds guests by id.
        tasks: follows tasks.
        settings: the server's.
        report: tells the client how far the call is; may be called always.
        preview: what was approved, for a call that needed approval; read again just before the call.
    """

    pve: Pve
    guests: Guests
    tasks: Tasks
    settings: Settings
    report: Report = _report_nothing
    preview: Preview | None = None


Arguments = Mapping[str, Any]
"""The checked arguments of a call by name, defaults among them."""
ToolFunction = Callable[..., Awaitable[Result]]
PreviewFunction = Callable[..., Awaitable[Preview]]
"""Takes the `Call` and those of the tool's own arguments that it names; may refuse what makes no sense, as a tool."""
ResolveFunction = Callable[..., Awaitable[Mapping[str, Any]]]
"""Takes the `Call` and those of the tool's own arguments that it names; gives more of the like."""
F = TypeVar("F", bound=ToolFunction)


@dataclass(frozen=True, slots=True)
class Declaration:
    """A tool as it was declared."""

    function: ToolFunction
    toolset: str
    risk: Risk
    title: str
    destructive: bool
    idempotent: bool
    least: Risk
    preview: PreviewFunction | None = None
    interrupts: Callable[[Arguments], bool] | None = None
    risk_of: Callable[[Arguments], Risk] | None = None
    resolve: ResolveFunction | None = None

    @property
    def name(self) -> str:
        """The name that a model calls it by."""
        return self.function.__name__

    @property
    def description(self) -> str:
        """What a model reads about it."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def annotations(self) -> ToolAnnotations:
        """The hints that a client shows or decides by."""
        return ToolAnnotations(
            title=self.title,
            read_only_hint=self.risk is Risk.READ,
            destructive_hint=self.destructive,
            idempotent_hint=self.idempotent,
            open_world_hint=False,
        )


@dataclass(slots=True)
class Toolset:
    """A group of tools that belong together: one module of `tools/`."""

    name: str
    purpose: str
    default: bool = True
    """Its tools exist without being asked for; others by `--toolsets`."""
    declarations: list[Declaration] = field(default_factory=list)

    def tool(
        self,
        *,
        risk: Risk,
        title: str,
        destructive: bool | None = None,
        idempotent: bool | None = None,
        least: Risk | None = None,
        preview: PreviewFunction | None = None,
        interrupts: Callable[[Arguments], bool] | None = None,
        risk_of: Callable[[Arguments], Risk] | None = None,
        resolve: ResolveFunction | None = None,
    ) -> Callable[[F], F]:
        """Declare a tool; the function stays what it is.

        Args:
            risk: the highest that a call of it may have; with `DESTROY`, a call needs approval.
            title: a few words for people.
            destructive: something may be lost; by default what the risk says.
            idempotent: a second call changes nothing more; by default so for reads alone.
            least: the lowest risk that a call of it may have: decides on which access levels the tool exists.
            preview: what a call would do, for the person who approves; without one, the guest it names is described.
            interrupts: whether a call with these arguments interrupts a guest that runs, which needs approval too.
            risk_of: the risk of a call with these arguments, where that differs; never above `risk`.
            resolve: looks up what the arguments only point at, for the call to be judged by that, too.
        """

        def declare(function: F) -> F:
            self.declarations.append(
                Declaration(
                    function=function,
                    toolset=self.name,
                    risk=risk,
                    title=title,
                    destructive=risk is Risk.DESTROY if destructive is None else destructive,
                    idempotent=risk is Risk.READ if idempotent is None else idempotent,
                    least=least or risk,
                    preview=preview,
                    interrupts=interrupts,
                    risk_of=risk_of,
                    resolve=resolve,
                )
            )
            return function

        return declare


def allowed(toolsets: Iterable[Toolset], access: Access) -> list[Declaration]:
    """The tools that exist on an access level, in the order of their declaration."""
    return [tool for toolset in toolsets for tool in toolset.declarations if tool.least in ALLOWED[access]]


def chosen(toolsets: Iterable[Toolset], settings: Settings) -> list[Declaration]:
    """The tools that the settings ask for, of those that their access level allows.

    Raises:
        SettingsError: they name a toolset or tool that there is not.
    """
    known = list(toolsets)
    names = {toolset.name for toolset in known}
    _require_known("toolset", settings.toolsets or (), {*names, "default", "all"})
    _require_known("tool", settings.tools or (), {tool.name for toolset in known for tool in toolset.declarations})
    wanted = set(settings.toolsets or (() if settings.tools else ("default",)))
    if "all" in wanted:
        wanted |= names
    if "default" in wanted:
        wanted |= {toolset.name for toolset in known if toolset.default}
    single = set(settings.tools or ())
    return [tool for tool in allowed(known, settings.access) if tool.toolset in wanted or tool.name in single]


def _require_known(kind: str, given: Iterable[str], known: Iterable[str]) -> None:
    names = sorted(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names)}."
            raise SettingsError(f"PROXMOX_{kind.upper()}S: there is no {kind} {name}.", hint)


AnyContext = Context[Any, Any]


def twin_of(name: str, known: Container[str]) -> str | None:
    """The tool that does to containers what the one of that name does to VMs, or the other way round."""
    if "_vm" in name:
        near = (name.replace("_vm", "_lxc"), name.replace("_vm", "_lxc_container"))
    else:
        near = (name.replace("_lxc_container", "_vm"), name.replace("_lxc", "_vm"))
    return next((twin for twin in near if twin != name and twin in known), None)


CarryOut = Callable[[Declaration, AnyContext, dict[str, Any]], Awaitable[CallToolResult | InputRequiredResult]]
"""Carries a call out: the declaration, the SDK's context, the checked arguments."""


async def not_called(declaration: Declaration, ctx: AnyContext, given: dict[str, Any]) -> CallToolResult:
    """For a tool that only its arguments are looked at of."""
    raise NotImplementedError(declaration.name)


Confirm = Annotated[str, Field(max_length=64, description="What the refusal of this very call told to confirm with")]


def build_tool(declaration: Declaration, carry_out: CarryOut, *, confirm: bool = False) -> Tool:
    """The SDK's tool for a declaration: strict arguments, slim schemas, structured result and compact text.

    Args:
        declaration: the tool.
        carry_out: carries a call out.
        confirm: a tool that changes something takes `confirm`, too, by which a model approves its own calls.
    """
    confirmed = confirm and declaration.risk is not Risk.READ

    async def run(ctx: AnyContext, **given: Any) -> CallToolResult | InputRequiredResult:
        return await carry_out(declaration, ctx, given)

    return Tool(
        fn=run,
        name=declaration.name,
        title=declaration.title,
        description=declaration.description,
        parameters=arguments_schema(declaration.function, confirmed),
        fn_metadata=_Metadata.of(declaration.function, confirmed),
        is_async=True,
        context_kwarg="ctx",
        annotations=declaration.annotations,
    )


class _StrictArguments(ArgModelBase):
    """Arguments of a tool: one that it does not know is refused, for it was meant to do something."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


@cache
def arguments_of(function: ToolFunction, confirm: bool = False) -> type[ArgModelBase]:
    """The model of a tool's arguments; made once for all servers."""
    fields: dict[str, Any] = {
        parameter.name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for parameter in list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    }
    if confirm:
        fields["confirm"] = (Confirm | None, None)
    return create_model(f"{function.__name__}_arguments", __base__=_StrictArguments, **fields)


def result_of(function: ToolFunction) -> type[Result]:
    """The class of what a tool returns."""
    declared: type[Result] = inspect.get_annotations(function, eval_str=True)["return"]
    return declared


@cache
def arguments_schema(function: ToolFunction, confirm: bool = False) -> dict[str, Any]:
    """The schema of a tool's arguments, as a model gets it."""
    if not confirm:
        return kept_schema(function) or made_schema(arguments_of(function))
    alone, further = arguments_schema(function), made_schema(create_model("_", confirm=(Confirm | None, None)))
    return {**alone, "properties": {**alone["properties"], **further["properties"]}}


@cache
def result_schema(result: type[Result]) -> dict[str, Any]:
    """The schema of a result, as a client gets it."""
    return kept_schema(result) or made_schema(result)


class _Metadata(FuncMetadata):
    """What the SDK checks a call of a tool by.

    The model of the arguments is made when the first call comes: those of all tools would double what a start takes
    beside the SDK's own part, and most of them are never called. A result was checked when it was made.
    """

    _arguments: Callable[[], type[ArgModelBase]] = PrivateAttr()

    @classmethod
    def of(cls, function: ToolFunction, confirm: bool) -> "_Metadata":
        """For a tool's function; `confirm`: it takes that argument, too."""
        made = cls(arg_model=_StrictArguments, output_schema=result_schema(result_of(function)))
        made._arguments = partial(arguments_of, function, confirm)
        return made

    def validate_arguments(self, arguments_to_validate: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call, checked, defaults among them.

        Raises:
            ValidationError: what is wrong with them.
        """
        if self.arg_model is _StrictArguments:
            self.arg_model = self._arguments()
        return super().validate_arguments(arguments_to_validate)


def argument_errors(error: ValidationError, tool: str, known: Iterable[str]) -> str:
    """What is wrong with the arguments of a call: one line, without the values that were given."""
    names = list(known)
    problems = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(where, names, n=1)
            problems.append(f"{where}: no such argument" + (f" (did you mean {near[0]}?)" if near else ""))
        elif problem["type"] == "missing":
            problems.append(f"{where}: is required")
        else:
            text = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
            named = "; find_guests tells it for a name" if where == "vmid" and problem["type"] == "int_parsing" else ""
            problems.append(f"{where}: {text}{named}")
    takes = f"It takes: {', '.join(names)}." if names else "It takes no arguments."
    return f"Bad arguments for {tool}: {'; '.join(problems)}. {takes}"
