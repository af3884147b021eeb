// The official TypeScript client, which asks for more scopes when it is told to.
//
//     node step_up.mjs --url URL --issuer ISSUER --user NAME [--protocol VERSION]
//
// Connects as step-up-app with what a first sign-in of NAME at ISSUER gives for the scopes
// that the library chooses, calls the tool `step_up`, does what the library makes of the
// refusal, calls again, and prints one JSON object on stdout:
//
//     {"protocol_version": VERSION,
//      "invitation": {"status": 401, "scope": …}, as the first answer without a token had it,
//      "scopes_at_first": the scopes of the token that was refused, decoded,
//      "challenge": {"status": 403, "scope": …}, as the answer had it,
//      "scopes_asked": [the scopes of each authorization request],
//      "authorizations": how many codes were exchanged,
//      "result": the tool's text}
//
// The exit status is non-zero unless the second call succeeds after exactly one 403. VERSION
// is one to pin, `2026-07-28` by default, `auto` or `legacy`; see client.mjs.

import { parseArgs } from "node:util";

import {
  Client,
  extractWWWAuthenticateParams,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";

import { follow } from "./browser.mjs";

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    issuer: { type: "string" },
    user: { type: "string" },
    protocol: { type: "string", default: "2026-07-28" },
  },
});
for (const name of ["url", "issuer", "user"]) {
  if (!options[name]) throw new Error(`--${name} is missing`);
}

// The library reports with `console.debug`, which Node writes to stdout.
console.debug = console.error;

const words = (scope) => scope.split(" ");

const scopesOf = (authorization) => {
  const [, claims] = authorization.split(".");
  return words(JSON.parse(Buffer.from(claims, "base64url")).scope);
};

// --- what is recorded ------------------------------------------------------------------

let invitation;
const refused = [];
const asked = [];
let exchanged = 0;

/** The network, as the client sees it. */
async function network(url, init) {
  const response = await fetch(url, init);
  const { scope } = extractWWWAuthenticateParams(response);
  if (response.status === 401) {
    invitation ??= { status: response.status, scope };
  }
  if (response.status === 403) {
    const authorization = new Headers(init.headers).get("authorization");
    refused.push({
      scopes: scopesOf(authorization),
      challenge: { status: response.status, scope },
    });
  }
  return response;
}

// --- the application around the client -------------------------------------------------

/** A public client, registered beforehand. `callback` has what came of its last redirect. */
class Application {
  redirectUrl = "https://app.example.com/callback";
  clientMetadata = { redirect_uris: [this.redirectUrl] };

  clientInformation({ issuer }) {
    return { client_id: "step-up-app", issuer };
  }

  tokens() {
    return this.saved;
  }

  saveTokens(tokens) {
    this.saved = tokens;
    exchanged += 1;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  discoveryState() {
    return this.discovered;
  }

  saveDiscoveryState(discovered) {
    this.discovered = discovered;
  }

  async redirectToAuthorization(url) {
    if (url.origin !== options.issuer) throw new Error(`sent to ${url.origin} to sign in`);
    asked.push(words(url.searchParams.get("scope")));
    url.searchParams.set("login_hint", options.user);
    this.callback = (await follow(url)).searchParams;
  }
}

const application = new Application();
const client = new Client(
  { name: "portcullis-peer-step-up", version: "0.0.0" },
  {
    versionNegotiation: {
      mode: ["auto", "legacy"].includes(options.protocol)
        ? options.protocol
        : { pin: options.protocol },
    },
  },
);
let transport;

async function connect() {
  transport = new StreamableHTTPClientTransport(new URL(options.url), {
    authProvider: application,
    fetch: network,
  });
  await client.connect(transport);
}

const call = () => client.callTool({ name: "step_up", arguments: {} });

/** The library ends an operation when it has sent the user away; the second try is ours. */
async function signedIn(operation) {
  try {
    return await operation();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(application.callback);
    return await operation();
  }
}

try {
  await signedIn(connect);
  const { content, isError } = await signedIn(call);
  if (isError) throw new Error(`the tool failed: ${JSON.stringify(content)}`);
  if (refused.length !== 1) throw new Error(`${refused.length} answers with 403`);
  console.log(
    JSON.stringify({
      protocol_version: client.getNegotiatedProtocolVersion(),
      invitation,
      scopes_at_first: refused[0].scopes,
      challenge: refused[0].challenge,
      scopes_asked: asked,
      authorizations: exchanged,
      result: content.map((part) => part.text).join("\n"),
    }),
  );
} finally {
  await client.close();
}
