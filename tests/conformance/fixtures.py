"""What the MCP conformance suite calls by name: tools, resources and prompts, on a server of the product's own class.

The suite cannot know what a server does, so it asks for things of fixed names that do something simple. Their names and
what they answer are the suite's; nothing of this is part of the product. Those that ask the client something back are
in `asking`, those that last in `lasting`.
"""

from __future__ import annotations

import io
import json
import struct
import wave
import zlib
from base64 import b64encode
from typing import Annotated, Any

from mcp.server.mcpserver import AssistantMessage, Context, UserMessage
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    AudioContent,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

from proxmox_mcp.server import ProxmoxServer
from tests.conformance.asking import add_asking
from tests.conformance.lasting import add_lasting

# What a schema may hold since it may be any JSON Schema of 2020-12; the suite looks whether it arrives as it is.
_ANY_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}

Block = TextContent | ImageContent | AudioContent | EmbeddedResource


def add_fixtures(server: ProxmoxServer) -> None:
    """Give a server all that the suite calls by name."""
    _add_tools(server)
    _add_resources(server)
    _add_prompts(server)
    _add_methods(server)
    add_asking(server)
    add_lasting(server)


def _add_tools(server: ProxmoxServer) -> None:
    for tool in (
        test_simple_text,
        test_image_content,
        test_audio_content,
        test_embedded_resource,
        test_multiple_content_types,
        test_error_handling,
        test_tool_with_progress,
        test_tool_with_logging,
        test_logging_tool,
        test_trigger_tool_change,
        test_trigger_prompt_change,
        test_headers,
        json_schema_2020_12_tool,
    ):
        server.add_tool(tool, structured_output=False)
    made = server._tool_manager.get_tool("json_schema_2020_12_tool")
    assert made is not None
    made.parameters = _ANY_SCHEMA


def test_simple_text() -> str:
    """A text."""
    return "a text, and nothing else"


def test_image_content() -> ImageContent:
    """A picture."""
    return _image()


def test_audio_content() -> AudioContent:
    """A sound."""
    return AudioContent(type="audio", data=_base64(_wav()), mime_type="audio/wav")


def test_embedded_resource() -> EmbeddedResource:
    """A resource within the answer."""
    return _embedded("test://embedded-resource", "what the resource holds")


def test_multiple_content_types() -> list[Block]:
    """A text, a picture and a resource."""
    text = TextContent(type="text", text="three kinds of content")
    embedded = _embedded("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json")
    return [text, _image(), embedded]


def test_error_handling() -> str:
    """Fails, as tools do."""
    raise ToolError("This tool fails on purpose.")


async def test_tool_with_progress(ctx: Context) -> str:
    """Tells three times how far it is."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"{done} of 100")
    return "done"


async def test_tool_with_logging(ctx: Context) -> str:
    """Sends the client three lines of a log."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.log("info", line)
    return "done"


async def test_logging_tool(ctx: Context) -> str:
    """Sends the client one line of a log, which only a client gets that asked for it."""
    await ctx.log("info", "a line")
    return "done"


async def test_trigger_tool_change(ctx: Context) -> str:
    """Tells those who listen that the list of tools is another."""
    await ctx.notify_tools_changed()
    return "told"


async def test_trigger_prompt_change(ctx: Context) -> str:
    """Tells those who listen that the list of prompts is another."""
    await ctx.notify_prompts_changed()
    return "told"


def test_headers(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Has an argument that goes into a header of the HTTP request, too."""
    return f"for {region}"


def json_schema_2020_12_tool(name: str = "") -> str:
    """Has a schema with all that a schema may hold."""
    return f"for {name}"


def _add_resources(server: ProxmoxServer) -> None:
    @server.resource("test://static-text", mime_type="text/plain")
    def static_text() -> str:
        """A text."""
        return "the text of a resource"

    @server.resource("test://static-binary", mime_type="image/png")
    def static_binary() -> bytes:
        """A picture."""
        return _png()

    @server.resource("test://watched-resource", mime_type="text/plain")
    def watched_resource() -> str:
        """What a client of the older era subscribes to."""
        return "unchanged"

    @server.resource("test://template/{id}/data", mime_type="application/json")
    def template(id: str) -> str:
        """One of many."""
        return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _add_prompts(server: ProxmoxServer) -> None:
    for prompt in (
        test_simple_prompt,
        test_prompt_with_arguments,
        test_prompt_with_embedded_resource,
        test_prompt_with_image,
    ):
        server.prompt()(prompt)


def test_simple_prompt() -> str:
    """A text."""
    return "a prompt without arguments"


def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A text with two arguments in it."""
    return f"a prompt with {arg1} and {arg2}"


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage | AssistantMessage]:  # noqa: N803
    """A resource, and what to do with it."""
    embedded = _embedded(resourceUri, "what the resource holds")
    return [UserMessage(content=embedded), UserMessage(content="Say what the resource holds.")]


def test_prompt_with_image() -> list[UserMessage | AssistantMessage]:
    """A picture, and what to do with it."""
    return [UserMessage(content=_image()), UserMessage(content="Say what the picture shows.")]


def _add_methods(server: ProxmoxServer) -> None:
    """Methods of the older era that the product has no use for, and that the suite wants answered."""

    async def accept(ctx: Any, params: Any) -> EmptyResult:
        return EmptyResult()

    # The SDK gives `MCPServer` no way to serve these, and its own hint is to go to the server below it.
    lowlevel = server._lowlevel_server
    lowlevel.add_request_handler("logging/setLevel", SetLevelRequestParams, accept)
    lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, accept)
    lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, accept)


def _embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def _image() -> ImageContent:
    return ImageContent(type="image", data=_base64(_png()), mime_type="image/png")


def _png() -> bytes:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\x00\xff\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def _wav() -> bytes:
    """A hundredth of a second of silence."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(160))
    return sound.getvalue()


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
