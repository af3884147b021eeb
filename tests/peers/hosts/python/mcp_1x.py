"""The official Python SDK 1.x, which most hosts in Python run on."""

from contextlib import asynccontextmanager

import httpx
from host import run
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client


class Refused(Exception):
    """A result that says of itself that it is an error."""


@asynccontextmanager
async def host(url, headers):
    async with (
        httpx.AsyncClient(headers=headers, timeout=30) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()

        def calling(name):
            async def call(arguments):
                result = await session.call_tool(name, arguments)
                text = " ".join(getattr(part, "text", part.type) for part in result.content)
                if result.isError:
                    raise Refused(text)
                return text

            return call

        yield {tool.name: calling(tool.name) for tool in (await session.list_tools()).tools}


run(host)
