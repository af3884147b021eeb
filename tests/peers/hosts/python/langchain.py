"""LangChain, with its own adapters; one session for all calls, as an agent may hold."""

from contextlib import asynccontextmanager

from host import run
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools


class Refused(Exception):
    """A message that says of itself that it is an error."""


@asynccontextmanager
async def host(url, headers):
    server = {"transport": "streamable_http", "url": url, "headers": headers}
    async with MultiServerMCPClient({"testbed": server}).session("testbed") as session:

        def calling(tool):
            async def call(arguments):
                message = await tool.ainvoke(
                    {"type": "tool_call", "id": "1", "name": tool.name, "args": arguments}
                )
                if message.status == "error":
                    raise Refused(message.text)
                return message.text or message.content

            return call

        yield {tool.name: calling(tool) for tool in await load_mcp_tools(session)}


run(host)
