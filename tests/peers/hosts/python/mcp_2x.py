"""The official Python SDK 2.x, with its own choice of version."""

from contextlib import asynccontextmanager

from host import run
from httpx2 import AsyncClient
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


class Refused(Exception):
    """A result that says of itself that it is an error."""


@asynccontextmanager
async def host(url, headers):
    async with (
        AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):

        def calling(name):
            async def call(arguments):
                result = await client.call_tool(name, arguments)
                text = " ".join(getattr(part, "text", part.type) for part in result.content)
                if result.is_error:
                    raise Refused(text)
                return text

            return call

        yield {tool.name: calling(tool.name) for tool in (await client.list_tools()).tools}


run(host)
