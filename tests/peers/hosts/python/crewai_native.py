"""CrewAI, by its own client: `mcps=[MCPServerHTTP(…)]` of an agent."""

from contextlib import asynccontextmanager

from crewai.mcp.client import MCPClient
from crewai.mcp.transports.http import HTTPTransport
from host import run


@asynccontextmanager
async def host(url, headers):
    async with MCPClient(HTTPTransport(url, headers=headers)) as client:

        def calling(name):
            async def call(arguments):
                return await client.call_tool(name, arguments)

            return call

        yield {tool["name"]: calling(tool["name"]) for tool in await client.list_tools()}


run(host)
