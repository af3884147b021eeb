"""Debian's glewlwyd as a real issuer of JWTs for a resource, found by OpenID discovery alone.

    python glewlwyd_provider.py

Speaks as provider.py says. What its administrator has to switch on is in PLUGIN and CLIENT. It
lets a client ask only about tokens that were issued to that client.
"""

import contextlib
import http.client
import json
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import provider

ORIGIN = provider.free_origin()
ISSUER = f"{ORIGIN}/api/oidc"
TABLES = Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3")
PATIENCE = 20

APP = {"client_id": "app", "client_secret": secrets.token_urlsafe(24)}
PASSWORD = secrets.token_urlsafe(24)

CLIENT = {
    **APP,
    "name": "An application",
    "confidential": True,
    "enabled": True,
    "password": APP["client_secret"],
    "redirect_uri": [provider.REDIRECT_URI],
    "authorization_type": ["code", "client_credentials"],
    "token_endpoint_auth_method": ["client_secret_basic"],
    "resource": [provider.AUDIENCE, provider.OTHER_AUDIENCE],
}


def key_pair():
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {"key": private.decode(), "cert": public.decode()}


PLUGIN = {
    "iss": ISSUER,
    "jwt-type": "rsa",
    "jwt-key-size": "256",
    **key_pair(),
    "jwks-show": True,
    "access-token-duration": 3600,
    "refresh-token-duration": 1209600,
    "code-duration": 600,
    "auth-type-code-enabled": True,
    "auth-type-client-enabled": True,
    "auth-type-refresh-enabled": True,
    "allow-non-oidc": True,
    "pkce-allowed": True,
    "introspection-revocation-allowed": True,
    "introspection-revocation-allow-target-client": True,
    "resource-allowed": True,
    "resource-client-property": "resource",
    "oauth-as-iss-id": True,
}


class Session:
    """What a browser is to the server: a cookie."""

    def __init__(self):
        self.cookie = None

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(ORIGIN.removeprefix("http://"), timeout=PATIENCE)
        headers = {"cookie": self.cookie} if self.cookie else {}
        if body is not None:
            headers["content-type"] = "application/json"
        with contextlib.closing(connection):
            connection.request(method, path, body and json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text}")
        if cookie := answer.getheader("set-cookie"):
            self.cookie = cookie.split(";")[0]
        return answer

    def log_in(self, username, password):
        self.ask("POST", "/api/auth", {"username": username, "password": password})


def start(folder):
    database = folder / "glewlwyd.sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as tables:
        tables.executescript(TABLES.read_text())
    modules = "".join(
        f'{name}_path="/usr/lib/glewlwyd/{kind}"\n'
        for name, kind in [
            ("user_module", "user"),
            ("client_module", "client"),
            ("user_auth_scheme_module", "scheme"),
            ("plugin_module", "plugin"),
        ]
    )
    configuration = folder / "glewlwyd.conf"
    configuration.write_text(
        f'port={urllib.parse.urlsplit(ORIGIN).port}\nbind_address="127.0.0.1"\n'
        f'external_url="{ORIGIN}/"\napi_prefix="api"\nlogin_url="login.html"\n'
        f'log_mode="console"\nlog_level="WARNING"\ncookie_secure=0\nsession_key="SESSION"\n'
        f'admin_scope="g_admin"\nprofile_scope="g_profile"\nhash_algorithm="SHA512"\n{modules}'
        f'database={{type="sqlite3"; path="{database}";}};\n'
    )
    return subprocess.Popen(
        ["glewlwyd", "--config-file", configuration], stdin=subprocess.DEVNULL, stdout=sys.stderr
    )


def set_up():
    admin = Session()
    since = time.monotonic()
    while True:
        try:
            admin.log_in("admin", "password")
            break
        except ConnectionRefusedError:
            if time.monotonic() - since > PATIENCE:
                raise
            time.sleep(0.05)
    scope = {"name": "read", "display_name": "Read", "password_required": True}
    admin.ask("POST", "/api/scope/", scope)
    plugin = {"module": "oidc", "name": "oidc", "display_name": "OpenID", "parameters": PLUGIN}
    admin.ask("POST", "/api/mod/plugin/", plugin)
    admin.ask("POST", "/api/client/", CLIENT)
    alice = {"username": "alice", "password": PASSWORD, "scope": ["openid", "read"], "enabled": True}
    admin.ask("POST", "/api/user/", alice)


def signed_in(alice, resource):
    pkce = provider.Pkce()
    asked = {
        "client_id": APP["client_id"],
        "response_type": "code",
        "redirect_uri": provider.REDIRECT_URI,
        "scope": "openid read",
        "state": secrets.token_urlsafe(8),
        "nonce": secrets.token_urlsafe(8),
        "resource": resource,
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
        # What its login page adds when it sends the browser back.
        "g_continue": "",
    }
    answer = alice.ask("GET", f"/api/oidc/auth?{urllib.parse.urlencode(asked)}")
    exchange = {
        "grant_type": "authorization_code",
        "code": provider.code_of(answer.getheader("location")),
        "redirect_uri": provider.REDIRECT_URI,
        "resource": resource,
        "code_verifier": pkce.verifier,
    }
    return provider.post(f"{ISSUER}/token", exchange, provider.basic(APP))["access_token"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        process = start(Path(folder))
        try:
            set_up()
            alice = Session()
            alice.log_in("alice", PASSWORD)
            alice.ask("PUT", f"/api/auth/grant/{APP['client_id']}", {"scope": "openid read"})
            ready = {
                "issuer": ISSUER,
                "tokens": {
                    "ours": signed_in(alice, provider.AUDIENCE),
                    "others": signed_in(alice, provider.OTHER_AUDIENCE),
                },
                "introspection": {"endpoint": f"{ISSUER}/introspect", **APP},
            }

            def revoke(token):
                body = {"token": token, "token_type_hint": "access_token"}
                provider.post(f"{ISSUER}/revoke", body, provider.basic(APP))

            provider.run(ready, revoke)
        finally:
            process.kill()
            process.wait()


main()
