"""The floor: an MCP server of the SDK with one tool and nothing else, over stdio."""

from mcp.server import MCPServer

server = MCPServer("bare", version="0")


@server.tool()
async def hello() -> str:
    """Say hello."""
    return "hello"


if __name__ == "__main__":
    server.run("stdio")
