"""Semantic Kernel, by its plugin for MCP, through a kernel."""

import asyncio
import logging
from contextlib import asynccontextmanager

from host import run
from semantic_kernel import Kernel
from semantic_kernel.connectors.mcp import MCPStreamableHttpPlugin

#: How long its `connect` may take, in seconds: where the server does not let it in, for ever.
CONNECT = 10


class Requests(logging.Handler):
    """Keeps what is logged of each request, which an operator would have to read."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.lines = []
        logger = logging.getLogger("httpx")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record):
        self.lines.append(record.getMessage())


requests = Requests()


async def connect(plugin):
    requests.lines.clear()
    try:
        await asyncio.wait_for(plugin.connect(), CONNECT)
    except TimeoutError:
        raise TimeoutError(f"connect does not return: {requests.lines}") from None


@asynccontextmanager
async def host(url, headers):
    kernel = Kernel()
    plugin = MCPStreamableHttpPlugin(name="testbed", url=url, headers=headers)
    await connect(plugin)
    try:
        functions = kernel.add_plugin(plugin).functions

        def calling(function):
            async def call(arguments):
                result = await kernel.invoke(function, **arguments)
                return " ".join(str(part) for part in result.value)

            return call

        yield {name: calling(function) for name, function in functions.items()}
    finally:
        await asyncio.wait_for(plugin.close(), 5)


run(host)
