"""A FastMCP server on the given port: open, for one token, or with a sign-in of its own."""

import sys

from fastmcp import FastMCP
from fastmcp.server.auth.auth import ClientRegistrationOptions
from fastmcp.server.auth.providers.in_memory import InMemoryOAuthProvider
from fastmcp.server.auth.providers.jwt import StaticTokenVerifier

port, mode = int(sys.argv[1]), sys.argv[2]
base = f"http://127.0.0.1:{port}"
auth = None
if mode == "token":
    auth = StaticTokenVerifier(tokens={"good": {"client_id": "tests", "scopes": []}})
elif mode == "sign-in":
    registration = ClientRegistrationOptions(enabled=True)
    auth = InMemoryOAuthProvider(base_url=base, client_registration_options=registration)

server = FastMCP("peer", auth=auth)


@server.tool
def echo(text: str) -> str:
    """Says it again."""
    return text


server.run(transport="http", host="127.0.0.1", port=port, show_banner=False)
