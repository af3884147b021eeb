// OpenAuth as a real issuer of JWTs without scopes, whose audience is a client.
//
//     node openauth_provider.mjs
//
// Prints one line of JSON on stdout when it is ready,
//
//     {"issuer": URL, "tokens": {"ours": a token of the client `mcp-server`, "others": one of
//      `another-server`}}
//
// and ends when stdin closes. Alice is signed in at once.

import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

import { issuer as openauth } from "@openauthjs/openauth";
import { MemoryStorage } from "@openauthjs/openauth/storage/memory";

import { follow } from "./browser.mjs";

console.log = console.error;

const REDIRECT_URI = "https://app.example.com/callback";

const alice = {
  type: "alice",
  init(routes, context) {
    routes.get("/authorize", (request) => context.success(request, {}));
  },
};

// A subject is checked by whatever follows Standard Schema.
const anything = { "~standard": { version: 1, vendor: "peers", validate: (value) => ({ value }) } };

const application = openauth({
  storage: MemoryStorage(),
  subjects: { user: anything },
  providers: { alice },
  allow: async () => true,
  success: (context) => context.subject("user", { name: "alice" }, { subject: "alice" }),
});

async function serve(req, res) {
  const body = ["GET", "HEAD"].includes(req.method) ? undefined : Buffer.concat(await req.toArray());
  const url = new URL(req.url, origin);
  const answer = await application.fetch(
    new Request(url, { method: req.method, headers: req.headers, body }),
  );
  for (const [name, value] of answer.headers) {
    if (name !== "set-cookie") res.setHeader(name, value);
  }
  res.setHeader("set-cookie", answer.headers.getSetCookie());
  res.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
}

async function signedIn(client_id) {
  const verifier = randomBytes(32).toString("base64url");
  const url = new URL("/authorize", origin);
  url.search = new URLSearchParams({
    client_id,
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    state: "state",
    provider: "alice",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  });
  const { searchParams } = await follow(url);
  const response = await fetch(`${origin}/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: searchParams.get("code"),
      redirect_uri: REDIRECT_URI,
      client_id,
      code_verifier: verifier,
    }),
  });
  const answer = await response.json();
  if (!answer.access_token) throw new Error(JSON.stringify(answer));
  return answer.access_token;
}

const server = createServer((req, res) => {
  serve(req, res).catch((error) => {
    console.error(error);
    res.destroy();
  });
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${server.address().port}`;
const tokens = { ours: await signedIn("mcp-server"), others: await signedIn("another-server") };
process.stdout.write(`${JSON.stringify({ issuer: origin, tokens })}\n`);
process.stdin.resume().on("end", () => process.exit(0));
