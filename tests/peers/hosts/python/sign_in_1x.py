"""The official Python SDK 1.x signs in with its own OAuth, and refreshes.

    python sign_in_1x.py URL PROGRAM [--client-id ID | --document URL]

Calls `whoami`, makes the access token old, and calls it again. Prints one line of JSON: `whoami`,
both answers; `refresh_tokens`, the one after each; `visits`, how often PROGRAM was started, which
is ../../node/sign_in.mjs, the browser of the person who signs in. With --client-id the client was
registered by its operator, and with --document it is the website that publishes the metadata
document there.
"""

import asyncio
import json
import subprocess
import sys
import time
from urllib.parse import parse_qsl, urlsplit

import httpx
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata


class Memory:
    """What the client keeps."""

    tokens = None

    def __init__(self, client_info):
        self.client_info = client_info

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info):
        self.client_info = client_info


async def main():
    url, program, known, name, *_ = [*sys.argv[1:], None, None]
    callbacks = []

    async def redirect(authorization_url):
        command = ["node", program, authorization_url]
        callbacks.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    async def answer():
        sent = dict(parse_qsl(urlsplit(callbacks[-1].strip()).query))
        return sent["code"], sent["state"]

    metadata = OAuthClientMetadata(
        client_name="portcullis-peer-mcp-1x",
        redirect_uris=["http://127.0.0.1:33418/callback"],
        token_endpoint_auth_method="none",
    )
    document = name if known == "--document" else None
    registered = known == "--client-id" and OAuthClientInformationFull(
        client_id=name,
        redirect_uris=metadata.redirect_uris,
        token_endpoint_auth_method="none",
    )
    memory = Memory(registered or None)
    auth = OAuthClientProvider(
        url, metadata, memory, redirect, answer, client_metadata_url=document
    )
    async with (
        httpx.AsyncClient(auth=auth, timeout=30) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        report = {"whoami": [], "refresh_tokens": []}
        for _ in range(2):
            result = await session.call_tool("whoami", {})
            report["whoami"].append(result.structuredContent)
            report["refresh_tokens"].append(memory.tokens.refresh_token)
            # It refreshes what it believes to have ended, and nothing on a 401.
            auth.context.token_expiry_time = time.time() - 1
    print(json.dumps(report | {"visits": len(callbacks)}))


asyncio.run(main())
