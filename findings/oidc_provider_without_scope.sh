#!/usr/bin/env bash
# @modelcontextprotocol/client 2.4.0 and oidc-provider 9.13.3: where the metadata of an MCP server
# names no scopes, the sign-in ends with access_denied after the user has agreed to everything.
#
# `scopes_supported` is recommended and no more in protected resource metadata (RFC 9728, 2), and
# `scope` is optional in an authorization request (RFC 6749, 4.1.1). Without a hint the client asks
# for no scope, although the authorization server names its own; the server then has none to
# grant, and refuses. With one scope in the metadata the same sign-in succeeds.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private":true,"type":"module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts @modelcontextprotocol/client@2.4.0 oidc-provider@9.13.3
cat >one.mjs <<'EOF'
import { once } from "node:events";
import { createServer } from "node:http";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import Provider from "oidc-provider";

console.info = console.warn = () => {};

async function listen(handle) {
  const server = createServer((req, res) => handle(req, res)).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

let provider;
const issuer = await listen((req, res) => {
  if (!req.url.startsWith("/agree/")) return provider.callback()(req, res);
  return agree(req, res);
});
provider = new Provider(issuer, {
  scopes: ["openid", "offline_access", "read"],
  interactions: { url: (_ctx, { uid }) => `/agree/${uid}` },
  findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: "read", accessTokenFormat: "jwt" }),
    },
  },
});

/** The user signs in, and agrees to everything that the resource has. */
async function agree(req, res) {
  const { params } = await provider.interactionDetails(req, res);
  const grant = new provider.Grant({ clientId: params.client_id, accountId: "alice" });
  grant.addOIDCScope("openid offline_access read");
  grant.addResourceScope(params.resource, "read");
  const consent = { grantId: await grant.save() };
  await provider.interactionFinished(req, res, { login: { accountId: "alice" }, consent });
}

let named;
const server = await listen((req, res) => {
  if (req.url.startsWith("/.well-known/oauth-protected-resource")) {
    const scopes = named && { scopes_supported: [named] };
    const document = { resource: `${server}/mcp`, authorization_servers: [issuer], ...scopes };
    return res.setHeader("content-type", "application/json").end(JSON.stringify(document));
  }
  const metadata = `${server}/.well-known/oauth-protected-resource/mcp`;
  res.writeHead(401, { "www-authenticate": `Bearer resource_metadata="${metadata}"` }).end();
});

async function signIn() {
  let asked;
  const host = {
    redirectUrl: "http://127.0.0.1:1/callback",
    clientMetadata: {
      redirect_uris: ["http://127.0.0.1:1/callback"],
      token_endpoint_auth_method: "none",
    },
    clientInformation: () => host.client,
    saveClientInformation: (client) => (host.client = client),
    tokens: () => undefined,
    saveTokens() {},
    saveCodeVerifier() {},
    codeVerifier: () => "",
    redirectToAuthorization: (url) => (asked = url),
  };
  const transport = new StreamableHTTPClientTransport(new URL(`${server}/mcp`), { authProvider: host });
  await new Client({ name: "finding", version: "1" }).connect(transport).catch(() => {});
  const cookies = new Map();
  let url = asked;
  while (url.origin === issuer) {
    const cookie = [...cookies].map((pair) => pair.join("=")).join("; ");
    const answer = await fetch(url, { redirect: "manual", headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    url = new URL(answer.headers.get("location"), url);
  }
  const outcome = url.searchParams.has("code") ? "a code" : url.searchParams.get("error");
  return `scope ${asked.searchParams.get("scope")}, ${outcome}`;
}

console.log(await signIn());
named = "read";
console.log(await signIn());
process.exit(0);
EOF
seen=$(timeout 60 node one.mjs 2>/dev/null | paste -sd';')
echo "@modelcontextprotocol/client 2.4.0, oidc-provider 9.13.3"
echo "without scopes in the metadata, and with one: $seen"
[ "$seen" = "scope null, access_denied;scope read, a code" ] ||
  { echo "this is no longer so" >&2; exit 1; }
