"""CrewAI, by the adapter of crewai-tools."""

import asyncio
from contextlib import asynccontextmanager

from crewai_tools.adapters.mcp_adapter import MCPServerAdapter
from host import run


@asynccontextmanager
async def host(url, headers):
    server = {"url": url, "transport": "streamable-http", "headers": headers}
    adapter = await asyncio.to_thread(MCPServerAdapter, server, connect_timeout=10)

    def calling(tool):
        async def call(arguments):
            return await asyncio.to_thread(lambda: tool.run(**arguments))

        return call

    try:
        yield {tool.name: calling(tool) for tool in adapter.tools}
    finally:
        await asyncio.wait_for(asyncio.to_thread(adapter.stop), 5)


run(host)
