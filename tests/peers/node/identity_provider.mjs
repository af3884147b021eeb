// A certified identity provider (oidc-provider) as a real issuer of access tokens.
//
//     node identity_provider.mjs [--port PORT] [--trailing-slash] [--pages]
//
// Prints one line of JSON on stdout when it is ready, everything else on stderr:
//
//     {"issuer": "http://127.0.0.1:PORT", "jwks_uri": "…", "control": "http://127.0.0.1:PORT2",
//      "introspection": {"endpoint": "…", "client_id": "mcp-server", "client_secret": "…"},
//      "assertion": {"client_id": "mcp-server-key", "pem": its private key}}
//
// and ends when stdin closes, or on SIGTERM. All keys are new at each start.
//
// Tokens are RFC 9068 (`at+jwt`), made and signed by the library at its own token endpoint.
// Clients: alice-app (read, write, admin) and bob-app (read), secret `NAME-secret`, by HTTP
// Basic, step-up-app (read, write, admin), which is public and has but the authorization
// code flow, and whoever registers (RFC 7591). Whoever `login_hint` names signs in, or alice, and
// consents to everything. A token has the scopes that were asked for. `resource` may be any URL
// and becomes the audience. Two headers of a request to the token endpoint choose what a resource
// server would have registered: `x-token-alg` (RS256, PS256, ES256, EdDSA; RS256 if absent),
// `x-token-ttl` (seconds, 600) and `x-token-format` (jwt or opaque; jwt). With --trailing-slash the
// issuer ends with one. With --pages users meet the library's own pages for signing in and consent.
//
// The control server, JSON in and out:
//
//     POST /token        {client, scope, resource, alg, ttl?, user?, format?} -> {access_token}
//                        client_credentials (`sub` is the client, RFC 9068 section 2.2), or
//                        with `user` a whole authorization code flow (`sub` is the user)
//     POST /client       {redirect_uri} -> {client_id, client_secret}, for the authorization code
//     POST /revoke       {client, token} -> {}
//     POST /rotate       {alg, keep_old} -> {kid}: a new key signs from now on
//     POST /behaviour    {mode?, max_age?, location?} -> what now holds, for the JWKS alone:
//                        normal    the keys, `Cache-Control: max-age=<max_age>` (3600)
//                        down      the connection is destroyed
//                        slow      200, then one space a quarter second, for ever
//                        huge      200, then valid JSON without an end
//                        redirect  302 to <location> (the cloud metadata address)
//                        garbage   200, HTML
//                        half      200, complete HTTP, the JSON cut in the middle
//     GET  /stats        {jwks_requests, in_flight, in_flight_max}
//     POST /stats/reset  the same, after the reset

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
} from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { pipeline, Readable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";

import Provider from "oidc-provider";

import { follow } from "./browser.mjs";

// The library prints notices with console.info, and stdout is the protocol.
console.info = console.error;

const SCOPES = "read write admin";
const CLIENTS = { "alice-app": SCOPES, "bob-app": "read" };
const PUBLIC_CLIENTS = { "step-up-app": SCOPES };
const scopeOf = ({ clientId }) => CLIENTS[clientId] ?? SCOPES;
const SERVER = { client_id: "mcp-server", client_secret: randomBytes(24).toString("hex") };
const REDIRECT_URI = "https://app.example.com/callback";

// --- keys ------------------------------------------------------------------------------

const KEY_TYPES = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  EdDSA: ["ed25519", {}],
};

// Node 20 can wait for itself when it exports a key as JWK that it has just made: the garbage
// collector may then end what made it, which needs the key's lock. So the key is read again.
function newPrivateKey([type, options]) {
  const { privateKey } = generateKeyPairSync(type, {
    ...options,
    publicKeyEncoding: { format: "der", type: "spki" },
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
  });
  return createPrivateKey(privateKey);
}

let generation = 0;
function newKey(alg) {
  const privateKey = newPrivateKey(KEY_TYPES[alg]);
  generation += 1;
  return { ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: `${alg}-${generation}` };
}

// In order of age: the last one of an algorithm signs, all are published.
let keys = Object.keys(KEY_TYPES).map(newKey);

const SERVER_KEY = newPrivateKey(KEY_TYPES.ES256);
const signingKid = (alg) => keys.findLast((key) => key.alg === alg)?.kid;

// --- the provider ----------------------------------------------------------------------

const registrations = (clients, own) =>
  Object.entries(clients).map(([client_id, scope]) => ({
    client_id,
    scope,
    response_types: ["code"],
    redirect_uris: [REDIRECT_URI],
    ...own(client_id),
  }));

/** What asks about tokens, and asks for none. */
const resourceServer = (own) => ({ ...own, grant_types: [], response_types: [], redirect_uris: [] });

function buildProvider(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    scopes: ["openid", "offline_access", ...SCOPES.split(" ")],
    clients: [
      ...registrations(CLIENTS, (client_id) => ({
        client_secret: `${client_id}-secret`,
        grant_types: ["client_credentials", "authorization_code"],
      })),
      ...registrations(PUBLIC_CLIENTS, () => ({
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code"],
      })),
      resourceServer(SERVER),
      resourceServer({
        client_id: "mcp-server-key",
        token_endpoint_auth_method: "private_key_jwt",
        jwks: { keys: [createPublicKey(SERVER_KEY).export({ format: "jwk" })] },
      }),
    ],
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    ttl: { Interaction: 60, Session: 60, Grant: values.pages ? 600 : 60, AuthorizationCode: 60 },
    ...(values.pages ? {} : { interactions: { url: (_ctx, { uid }) => `/login/${uid}` } }),
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    async loadExistingGrant(ctx) {
      const { client, params, result, session } = ctx.oidc;
      const { Grant } = ctx.oidc.provider;
      if (values.pages) {
        const id = result?.consent?.grantId ?? session.grantIdFor(client.clientId);
        return id && Grant.find(id);
      }
      const grant = new Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope(`openid offline_access ${SCOPES}`);
      grant.addResourceScope(params.resource, scopeOf(client));
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: values.pages },
      clientCredentials: { enabled: true },
      registration: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo(ctx, audience, client) {
          const alg = ctx.get("x-token-alg") || "RS256";
          return {
            audience,
            scope: scopeOf(client),
            accessTokenFormat: ctx.get("x-token-format") || "jwt",
            accessTokenTTL: Number(ctx.get("x-token-ttl") || 600),
            jwt: { sign: { alg, kid: signingKid(alg) } },
          };
        },
      },
    },
  });
  provider.on("server_error", (_ctx, error) => console.error(error));
  return provider;
}

// The keys of a Provider are fixed: a rotation builds another one behind the same issuer.
let provider;
let handle;
function install() {
  provider = buildProvider(issuer);
  handle = provider.callback();
}

// --- the JWKS endpoint and its faults --------------------------------------------------

const behaviour = { mode: "normal", max_age: 3600, location: "http://169.254.169.254/latest/meta-data/" };
const stats = { jwks_requests: 0, in_flight: 0, in_flight_max: 0 };

async function* drip() {
  for (;;) {
    yield " ";
    await setTimeout(250);
  }
}

function* endless() {
  const member = JSON.stringify({ kty: "oct", kid: "x".repeat(16_000) });
  yield `{"keys":[${member}`;
  for (;;) yield `,${member}`;
}

const unending = (source) => (_req, res) => {
  res.writeHead(200, { "content-type": "application/json" });
  // The peer has gone: the only way for it to end.
  pipeline(Readable.from(source()), res, () => {});
};

const JWKS = {
  normal(req, res) {
    res.setHeader("cache-control", `max-age=${behaviour.max_age}`);
    handle(req, res);
  },
  down: (req) => req.socket.destroy(),
  slow: unending(drip),
  huge: unending(endless),
  redirect: (_req, res) => res.writeHead(302, { location: behaviour.location }).end(),
  garbage: (_req, res) =>
    res.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Sign in</title>"),
  half(_req, res) {
    const whole = JSON.stringify({ keys }, ["keys", "kty", "use", "kid", "alg", "crv", "n", "e", "x", "y"]);
    res.writeHead(200, { "content-type": "application/json" }).end(whole.slice(0, whole.length / 2));
  },
};

function serveJwks(req, res) {
  stats.jwks_requests += 1;
  stats.in_flight += 1;
  stats.in_flight_max = Math.max(stats.in_flight_max, stats.in_flight);
  res.on("close", () => (stats.in_flight -= 1));
  JWKS[behaviour.mode](req, res);
}

// --- getting a token -------------------------------------------------------------------

const basic = (client) =>
  `Basic ${Buffer.from(`${client}:${client}-secret`).toString("base64")}`;

async function askToken({ client, resource, alg = "RS256", ttl = 600, format }, parameters) {
  const response = await fetch(`${origin}/token`, {
    method: "POST",
    headers: {
      authorization: basic(client),
      "x-token-alg": alg,
      "x-token-ttl": String(ttl),
      "x-token-format": format ?? "jwt",
    },
    body: new URLSearchParams({ resource, ...parameters }),
  });
  return [response.status, await response.json()];
}

async function register({ redirect_uri }) {
  const response = await fetch(`${origin}/reg`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      redirect_uris: [redirect_uri],
      grant_types: ["authorization_code", "refresh_token"],
    }),
  });
  return [response.status, await response.json()];
}

async function revoke({ client, token }) {
  const response = await fetch(`${origin}/token/revocation`, {
    method: "POST",
    headers: { authorization: basic(client) },
    body: new URLSearchParams({ token }),
  });
  return [response.status, {}];
}

// Gives what the callback is given.
async function signIn({ client, scope, resource, user }, code_challenge) {
  const url = new URL("/auth", origin);
  url.search = new URLSearchParams({
    client_id: client, response_type: "code", redirect_uri: REDIRECT_URI, scope, resource,
    login_hint: user, code_challenge, code_challenge_method: "S256",
  });
  const callback = await follow(url);
  return Object.fromEntries(callback.searchParams);
}

async function token(request) {
  const { scope, user } = request;
  if (!user) return askToken(request, { grant_type: "client_credentials", scope });
  const code_verifier = randomBytes(32).toString("base64url");
  const challenge = createHash("sha256").update(code_verifier).digest("base64url");
  const answer = await signIn(request, challenge);
  if (!answer.code) return [400, answer];
  return askToken(request, {
    grant_type: "authorization_code",
    code: answer.code,
    redirect_uri: REDIRECT_URI,
    code_verifier,
  });
}

async function login(req, res) {
  const { params } = await provider.interactionDetails(req, res);
  await provider.interactionFinished(req, res, {
    login: { accountId: params.login_hint ?? "alice" },
    consent: {},
  });
}

// --- the two servers -------------------------------------------------------------------

function rotate({ alg, keep_old = true }) {
  if (!KEY_TYPES[alg]) return [400, { error: `no such algorithm: ${alg}` }];
  keys = keys.filter((key) => keep_old || key.alg !== alg);
  keys.push(newKey(alg));
  install();
  return [200, { kid: signingKid(alg) }];
}

function behave(change) {
  if (!JWKS[change.mode ?? behaviour.mode]) return [400, { error: `no such mode: ${change.mode}` }];
  return [200, Object.assign(behaviour, change)];
}

const CONTROL = {
  "POST /token": token,
  "POST /client": register,
  "POST /revoke": revoke,
  "POST /rotate": rotate,
  "POST /behaviour": behave,
  "GET /stats": () => [200, stats],
  "POST /stats/reset": () => [200, Object.assign(stats, { jwks_requests: 0, in_flight_max: stats.in_flight })],
};

async function control(req) {
  const route = CONTROL[`${req.method} ${req.url}`];
  if (!route) return [404, { error: "no such route" }];
  const body = (await req.toArray()).join("");
  return route(body ? JSON.parse(body) : {});
}

function serveControl(req, res) {
  control(req)
    .catch((error) => [500, { error: error.message }])
    .then(([status, body]) => {
      res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
}

function serveIssuer(req, res) {
  const path = req.url.split("?")[0];
  if (path === "/jwks") return serveJwks(req, res);
  if (path.startsWith("/login/")) {
    return login(req, res).catch((error) => res.writeHead(500).end(error.message));
  }
  return handle(req, res);
}

async function listen(server, port) {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${server.address().port}`;
}

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    "trailing-slash": { type: "boolean", default: false },
    pages: { type: "boolean", default: false },
  },
});
const origin = await listen(createServer(serveIssuer), Number(values.port));
const issuer = values["trailing-slash"] ? `${origin}/` : origin;
install();
const controlUrl = await listen(createServer(serveControl), 0);
console.log(
  JSON.stringify({
    issuer,
    jwks_uri: `${origin}/jwks`,
    control: controlUrl,
    introspection: { endpoint: `${origin}/token/introspection`, ...SERVER },
    assertion: {
      client_id: "mcp-server-key",
      pem: SERVER_KEY.export({ format: "pem", type: "pkcs8" }),
    },
  }),
);

process.stdin.resume().on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
