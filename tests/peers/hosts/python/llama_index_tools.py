"""LlamaIndex, by its tool specification for MCP; it opens a session for each operation."""

from contextlib import asynccontextmanager

from host import run
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


class Refused(Exception):
    """A result that says of itself that it is an error."""


@asynccontextmanager
async def host(url, headers):
    client = BasicMCPClient(url, headers=headers)

    def calling(tool):
        async def call(arguments):
            # The text of its output is a dump of the whole result.
            result = (await tool.acall(**arguments)).raw_output
            text = " ".join(getattr(part, "text", part.type) for part in result.content)
            if result.is_error:
                raise Refused(text)
            return text

        return call

    try:
        tools = await McpToolSpec(client).to_tool_list_async()
        yield {tool.metadata.name: calling(tool) for tool in tools}
    finally:
        # It has no end of its own, and its connections would be warned of.
        await client.http_client.aclose()


run(host)
