"""The official Python SDK's own client as a real peer of the server under test.

    python mcp_client.py --url URL [--token TOKEN | --sign-in PROGRAM [--refresh]] [--protocol VERSION]
    python mcp_client.py [--protocol VERSION] --stdio COMMAND [ARGS...]

Connects, lists everything, tries a fixed set of operations and prints one JSON
object on stdout; of several --url one after the other, on a line each. A refused operation is reported in that object; only a failed
connection or listing makes the exit status non-zero.

PROGRAM is node/sign_in.mjs, which is the browser of the person who signs in.

With --refresh the access token is made old and `whoami` called again: `refreshed` has the answer,
`refresh_tokens`, the one before and the one after, and `visits`, how often the browser was opened.

With --client-id the client was registered by its operator, under that id and, with --client-secret,
with that secret; with --document it is the website that publishes the metadata document there. Else
it registers.

VERSION is `2026-07-28` (the default: taken as given, nothing is negotiated),
`auto` (`server/discover` first, then `initialize`) or `legacy` (`initialize`,
which always offers 2025-11-25: this client cannot pin an older version).
"""

import argparse
import asyncio
import json
import subprocess
import time
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, urlsplit

from httpx2 import AsyncClient
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
)


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", action="append")
    parser.add_argument("--token")
    parser.add_argument("--sign-in")
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("--client-id")
    parser.add_argument("--client-secret")
    parser.add_argument("--document")
    parser.add_argument("--protocol", default="2026-07-28")
    parser.add_argument("--stdio", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if bool(args.url) == bool(args.stdio):
        parser.error("give either --url or --stdio")
    return args


class Memory:
    """What the client keeps: of one run, as a host without a disk does."""

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


def signing_in(args, url):
    """The library's own OAuth, with the browser and the callback that a host has to add; and where
    the browser came back to."""
    callbacks = []

    async def redirect(authorization_url):
        command = ["node", args.sign_in, authorization_url]
        callbacks.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    async def answer():
        sent = dict(parse_qsl(urlsplit(callbacks[-1].strip()).query))
        if "code" not in sent:
            raise RuntimeError(f"sent back with {sent}")
        return AuthorizationCodeResult(code=sent["code"], state=sent["state"], iss=sent.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="portcullis-peer-mcp",
        redirect_uris=["http://127.0.0.1:33418/callback"],
        token_endpoint_auth_method="none",
    )
    registered = args.client_id and OAuthClientInformationFull(
        client_id=args.client_id,
        client_secret=args.client_secret,
        redirect_uris=metadata.redirect_uris,
        token_endpoint_auth_method="client_secret_basic" if args.client_secret else "none",
    )
    auth = OAuthClientProvider(
        url,
        metadata,
        Memory(registered),
        redirect,
        answer,
        client_metadata_url=args.document,
    )
    return auth, callbacks


@asynccontextmanager
async def connect(args, url):
    if args.stdio:
        command, *rest = args.stdio
        server = StdioServerParameters(command=command, args=rest)
        async with Client(server, mode=args.protocol) as client:
            yield client, None, []
    else:
        headers = {"authorization": f"Bearer {args.token}"} if args.token else {}
        auth, visits = signing_in(args, url) if args.sign_in else (None, [])
        async with AsyncClient(headers=headers, auth=auth, timeout=30) as http:
            server = streamable_http_client(url, http_client=http)
            async with Client(server, mode=args.protocol) as client:
                yield client, auth, visits


def text_of(parts):
    return "\n".join(part.text for part in parts)


async def pages(listing, items):
    """Everything in a listing: this client's methods return one page at a time."""
    cursor, found = None, []
    while True:
        page = await listing(cursor=cursor)
        found += getattr(page, items)
        cursor = page.next_cursor
        if cursor is None:
            return found


async def outcome(operation):
    """What became of one operation: {"ok": text} or {"error": message, "code": number}."""
    try:
        return await operation
    except MCPError as error:
        return {"error": error.message, "code": error.code}


async def call(client, name, arguments):
    result = await client.call_tool(name, arguments)
    return {"error" if result.is_error else "ok": text_of(result.content)}


async def read(client, uri):
    return {"ok": text_of((await client.read_resource(uri)).contents)}


async def prompt(client, name, arguments):
    result = await client.get_prompt(name, arguments)
    return {"ok": text_of(message.content for message in result.messages)}


async def explore(client):
    tools = await pages(client.list_tools, "tools")
    resources = await pages(client.list_resources, "resources")
    templates = await pages(client.list_resource_templates, "resource_templates")
    prompts = await pages(client.list_prompts, "prompts")
    report = {
        "protocol_version": client.protocol_version,
        "tools": sorted(tool.name for tool in tools),
        "resources": sorted(str(item.uri) for item in resources),
        "templates": sorted(item.uri_template for item in templates),
        "prompts": sorted(item.name for item in prompts),
        "whoami": await outcome(call(client, "whoami", {})),
        "echo": await outcome(call(client, "echo", {"text": "hello"})),
        "get_profile": await outcome(call(client, "get_profile", {})),
        "delete_user": await outcome(call(client, "delete_user", {"user_id": "u-404"})),
        "secret_config": await outcome(read(client, "secret://config")),
        "secret_keys": await outcome(read(client, "secret://keys")),
        "item": await outcome(read(client, "item://1")),
        "ledger": await outcome(read(client, "ledger://1")),
        "financial_report": await outcome(prompt(client, "financial_report", {"quarter": "Q1"})),
        "fail_tool_error": await outcome(call(client, "fail_tool_error", {})),
    }
    if "ok" in report["whoami"]:
        report["whoami"] = json.loads(report["whoami"]["ok"])
    if "ok" in report["echo"]:
        report["echo"] = report["echo"]["ok"]
    return report


async def refreshed(client, auth, visits):
    before = auth.context.current_tokens.refresh_token
    # It refreshes what it believes to have ended, and nothing on a 401.
    auth.context.token_expiry_time = time.time() - 1
    whoami = json.loads((await call(client, "whoami", {}))["ok"])
    after = auth.context.current_tokens.refresh_token
    return {"whoami": whoami, "refresh_tokens": [before, after], "visits": len(visits)}


async def main():
    args = parse_args()
    for url in args.url or [None]:
        async with connect(args, url) as (client, auth, visits):
            report = await explore(client)
            if args.refresh:
                report["refreshed"] = await refreshed(client, auth, visits)
            print(json.dumps(report))


asyncio.run(main())
