"""django-oauth-toolkit as a real issuer of opaque access tokens.

    python django_provider.py

Speaks as provider.py says. Alice signs in for two resources; a client of the resource server's
own asks about the tokens.
"""

import secrets
import tempfile
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

import provider

ORIGIN = provider.free_origin()
ISSUER = f"{ORIGIN}/o"

urlpatterns = []


def configure(folder):
    applications = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        SECRET_KEY=secrets.token_urlsafe(32),
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        # As Django's manual advises for tests: the secrets of clients are hashed like passwords, which
        # would take 0.6 s of CPU for each question about a token.
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        INSTALLED_APPS=[*applications, "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        # Tables are made from the models: the history of migrations takes seconds.
        MIGRATION_MODULES={
            name.rsplit(".")[-1]: None for name in [*applications, "django.contrib.sessions"]
        },
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "provider.sqlite3"}
        },
        OAUTH2_PROVIDER={"SCOPES": {"read": "Read", "write": "Write"}},
    )
    django.setup()
    # RFC 8414 wants the metadata of an issuer with a path at the root.
    from oauth2_provider.urls import metadata_urlpatterns

    urlpatterns.append(path("", include((metadata_urlpatterns, "oauth2_metadata"))))
    urlpatterns.append(path("o/", include("oauth2_provider.urls")))
    call_command("migrate", run_syncdb=True, verbosity=0)


def registered(grant_type):
    from oauth2_provider.models import Application

    secret = secrets.token_urlsafe(24)
    application = Application.objects.create(
        client_type="confidential",
        authorization_grant_type=grant_type,
        client_secret=secret,
        redirect_uris=provider.REDIRECT_URI,
        skip_authorization=True,
    )
    return {"client_id": application.client_id, "client_secret": secret}


def signed_in(client, alice, resource):
    from django.test import Client

    browser = Client(SERVER_NAME="127.0.0.1")
    browser.force_login(alice)
    pkce = provider.Pkce()
    asked = {
        "client_id": client["client_id"],
        "response_type": "code",
        "redirect_uri": provider.REDIRECT_URI,
        "scope": "read",
        "resource": resource,
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
    }
    answer = browser.get("/o/authorize/", asked)
    code = provider.code_of(answer["location"])
    exchange = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": provider.REDIRECT_URI,
        "resource": resource,
        "code_verifier": pkce.verifier,
    }
    return provider.post(f"{ISSUER}/token/", exchange, provider.basic(client))["access_token"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        configure(Path(folder))
        provider.listen(ORIGIN, get_wsgi_application())
        from django.contrib.auth.models import User

        alice = User.objects.create_user("alice")
        app = registered("authorization-code")
        server = registered("client-credentials")
        ready = {
            "issuer": ISSUER,
            "tokens": {
                "ours": signed_in(app, alice, provider.AUDIENCE),
                "others": signed_in(app, alice, provider.OTHER_AUDIENCE),
            },
            "introspection": {"endpoint": f"{ISSUER}/introspect/", **server},
        }

        def revoke(token):
            provider.post(f"{ISSUER}/revoke_token/", {"token": token}, provider.basic(app))

        provider.run(ready, revoke)


main()
