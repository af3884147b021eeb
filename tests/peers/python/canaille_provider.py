"""Canaille as a real issuer of JWTs that name clients as their audience.

    python canaille_provider.py [REDIRECT_URI...]

Speaks as provider.py says. The resource server is a client of its own, `mcp-server`, and in the
audience of one of two applications at which Alice signs in. There is a client for
the authorization code too, `sign_in` of what it prints, whose users meet its real pages.
"""

import datetime
import secrets
import sys

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend

import provider

ORIGIN = provider.free_origin()
# What the browser types, which is ../node/browser.mjs.
PASSWORD = "dev-password-alice"


def client(client_id, audience, grant_types=("password",), redirect_uris=(provider.REDIRECT_URI,)):
    made = models.Client(
        client_id=client_id,
        client_name=client_id,
        client_secret=secrets.token_urlsafe(24),
        client_id_issued_at=datetime.datetime.now(datetime.timezone.utc),
        redirect_uris=list(redirect_uris),
        grant_types=list(grant_types),
        response_types=["code"],
        scope=["openid", "profile"],
        token_endpoint_auth_method="client_secret_basic",
    )
    # It can be in an audience once it is saved.
    Backend.instance.save(made)
    made.audience = [made, *audience]
    Backend.instance.save(made)
    return {"client_id": made.client_id, "client_secret": made.client_secret}, made


def signed_in(application):
    asked = {
        "grant_type": "password",
        "username": "alice",
        "password": PASSWORD,
        "scope": "openid profile",
    }
    answer = provider.post(f"{ORIGIN}/oauth/token", asked, provider.basic(application))
    return answer["access_token"]


def main():
    app = create_app(
        {
            "SECRET_KEY": secrets.token_urlsafe(32),
            "SERVER_NAME": ORIGIN.removeprefix("http://"),
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory"},
            "CANAILLE_OIDC": {},
        }
    )
    with app.app_context():
        alice = models.User(
            formatted_name="Alice", family_name="A", user_name="alice", password=PASSWORD
        )
        Backend.instance.save(alice)
        server, served = client("mcp-server", [])
        ours, _ = client("app", [served])
        others, _ = client("another-app", [])
        grants = ("authorization_code", "refresh_token")
        sign_in, _ = client("portcullis", [], grants, sys.argv[1:] or [provider.REDIRECT_URI])
    provider.listen(ORIGIN, app)
    ready = {
        "issuer": ORIGIN,
        "tokens": {"ours": signed_in(ours), "others": signed_in(others)},
        "introspection": {"endpoint": f"{ORIGIN}/oauth/introspect", **server},
        "sign_in": sign_in,
    }

    def revoke(token):
        body = {"token": token, "token_type_hint": "access_token"}
        provider.post(f"{ORIGIN}/oauth/revoke", body, provider.basic(ours))

    provider.run(ready, revoke)


main()
