"""FastMCP's client, which is its command line too."""

from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from host import run


@asynccontextmanager
async def host(url, headers):
    async with Client(StreamableHttpTransport(url, headers=headers)) as client:

        def calling(name):
            async def call(arguments):
                result = await client.call_tool(name, arguments)
                return " ".join(getattr(part, "text", part.type) for part in result.content)

            return call

        yield {tool.name: calling(tool.name) for tool in await client.list_tools()}


run(host)
