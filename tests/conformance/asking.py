"""The conformance suite's tools and prompt that ask the client something back, in the way of either era.

Up to 2025-11-25 the server sends a request in the middle of the call. Since 2026-07-28 the call ends with questions,
and the client calls again with the answers; what the server must remember goes with the client, sealed by the SDK.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context, Resolve, Sample
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel

from proxmox_mcp.server import ProxmoxServer

Answered = str | InputRequiredResult

_NAME = {"type": "string"}


def add_asking(server: ProxmoxServer) -> None:
    """Give a server the tools and the prompt that ask."""
    for tool in (
        test_sampling,
        test_elicitation,
        test_elicitation_sep1034_defaults,
        test_elicitation_sep1330_enums,
        test_missing_capability,
        test_streaming_elicitation,
        test_input_required_result_elicitation,
        test_input_required_result_sampling,
        test_input_required_result_list_roots,
        test_input_required_result_request_state,
        test_input_required_result_tampered_state,
        test_input_required_result_multiple_inputs,
        test_input_required_result_multi_round,
        test_input_required_result_capabilities,
    ):
        server.add_tool(tool, structured_output=False)
    server.prompt()(test_input_required_result_prompt)


# Up to 2025-11-25: requests of the server.


async def test_sampling(prompt: str, ctx: Context) -> str:
    """Has the client's model answer a prompt."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    answer = await ctx.session.create_message([message], max_tokens=100, related_request_id=ctx.request_id)
    return f"the model says: {answer.content}"


class Person(BaseModel):
    """Who the user is."""

    username: str
    email: str


async def test_elicitation(message: str, ctx: Context) -> str:
    """Asks the user who they are."""
    outcome = await ctx.elicit(message, Person)
    return f"the user's answer: {outcome!r}"


class Profile(BaseModel):
    """A form with a default of each type."""

    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Asks with a form that is filled in beforehand."""
    outcome = await ctx.elicit("Is this right?", Profile)
    return f"the user's answer: {outcome!r}"


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Asks with a form that has each kind of choice."""
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
    form = {
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option 1", "Option 2"]},
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
    }
    answer = await ctx.session.elicit_form("Choose.", form, related_request_id=ctx.request_id)
    return f"the user's answer: {answer.action} {answer.content}"


# Since 2026-07-28: calls that end with questions.


def form(message: str, **properties: dict[str, str]) -> ElicitRequest:
    """A form with these fields."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(properties)}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _sample(prompt: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=50))


def asked(state: str | None = None, **questions: InputRequest) -> InputRequiredResult:
    """The end of a call that has questions."""
    return InputRequiredResult(input_requests=questions, request_state=state)


def filled_in(ctx: Context, question: str, field: str, kind: type = str) -> Any:
    """The field of a form that the client came back with; None if it is not there, or not of its type."""
    answer = (ctx.input_responses or {}).get(question)
    if not isinstance(answer, ElicitResult) or answer.action != "accept":
        return None
    value = (answer.content or {}).get(field)
    return value if isinstance(value, kind) else None


def _what_france_is_asked() -> Sample:
    message = SamplingMessage(role="user", content=TextContent(type="text", text="What is the capital of France?"))
    return Sample([message], max_tokens=50)


def test_missing_capability(answer: Annotated[CreateMessageResult, Resolve(_what_france_is_asked)]) -> str:
    """Cannot do without a client that can sample: by the SDK's resolver, which refuses all others."""
    return f"the model says: {answer.content}"


def test_streaming_elicitation(ctx: Context) -> Answered:
    """Asks for a name."""
    return test_input_required_result_elicitation(ctx)


def test_input_required_result_elicitation(ctx: Context) -> Answered:
    """Asks for a name, until there is one."""
    name = filled_in(ctx, "user_name", "name")
    return f"Hello, {name}!" if name else asked(user_name=form("What is your name?", name=_NAME))


def test_input_required_result_sampling(ctx: Context) -> Answered:
    """Asks the client's model."""
    answer = (ctx.input_responses or {}).get("capital_question")
    if isinstance(answer, CreateMessageResult):
        return f"the model says: {answer.content}"
    return asked(capital_question=_sample("What is the capital of France?"))


def test_input_required_result_list_roots(ctx: Context) -> Answered:
    """Asks for the client's folders."""
    answer = (ctx.input_responses or {}).get("client_roots")
    if isinstance(answer, ListRootsResult):
        return f"the roots: {', '.join(str(root.uri) for root in answer.roots)}"
    return asked(client_roots=ListRootsRequest())


def test_input_required_result_request_state(ctx: Context) -> Answered:
    """Asks, and knows again what it asked."""
    if ctx.request_state == "confirming" and filled_in(ctx, "confirm", "ok", bool):
        return "state-ok"
    return asked("confirming", confirm=form("Please confirm.", ok={"type": "boolean"}))


def test_input_required_result_tampered_state(ctx: Context) -> Answered:
    """Asks with a state that nobody else can write."""
    return test_input_required_result_request_state(ctx)


def test_input_required_result_multiple_inputs(ctx: Context) -> Answered:
    """Asks for three things at once."""
    questions: dict[str, InputRequest] = {
        "user_name": form("What is your name?", name=_NAME),
        "greeting": _sample("Write a greeting."),
        "client_roots": ListRootsRequest(),
    }
    if ctx.request_state == "three" and questions.keys() <= (ctx.input_responses or {}).keys():
        return "all three are answered"
    return asked("three", **questions)


def test_input_required_result_multi_round(ctx: Context) -> Answered:
    """Asks for a name, then for a colour."""
    state = ctx.request_state or ""
    if state.startswith("named ") and (colour := filled_in(ctx, "step2", "color")):
        return f"{state.removeprefix('named ')} likes {colour}"
    if state == "begun" and (name := filled_in(ctx, "step1", "name")):
        return asked(f"named {name}", step2=form("Step 2: which colour do you like?", color=_NAME))
    return asked("begun", step1=form("Step 1: what is your name?", name=_NAME))


def test_input_required_result_capabilities(ctx: Context) -> Answered:
    """Asks only what the client can answer."""
    capabilities = ctx.client_capabilities
    questions: dict[str, InputRequest] = {}
    if capabilities is not None and capabilities.elicitation is not None:
        questions["user_name"] = form("What is your name?", name=_NAME)
    if capabilities is not None and capabilities.sampling is not None:
        questions["greeting"] = _sample("Write a greeting.")
    return asked(None, **questions) if questions and not ctx.input_responses else "nothing to ask"


def test_input_required_result_prompt(ctx: Context) -> Answered:
    """A prompt that asks for its context."""
    context = filled_in(ctx, "user_context", "context")
    if context:
        return f"a prompt about {context}"
    return asked(user_context=form("What is the prompt about?", context=_NAME))
