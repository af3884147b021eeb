// The official TypeScript SDK 1.x signs in with its own OAuth, and refreshes.
//
//     node sign_in_1x.mjs URL PROGRAM [--client-id ID | --document URL]
//
// Calls `whoami`, makes the access token a wrong one, and calls it again. Prints one line of JSON:
// `whoami`, both answers; `refresh_tokens`, the one after each; `visits`, how often PROGRAM was
// started, which is ../../node/sign_in.mjs, the browser of the person who signs in. With --client-id
// the client was registered by its operator, and with --document it is the website that publishes
// the metadata document there.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, program, known, name] = process.argv.slice(2);

/** What a host adds to the library's OAuth: a memory, and the browser. */
class SigningIn {
  redirectUrl = "http://127.0.0.1:33418/callback";
  clientMetadata = {
    client_name: "portcullis-peer-sdk-1x",
    redirect_uris: [this.redirectUrl],
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
  };
  visits = 0;
  clientMetadataUrl = known === "--document" ? name : undefined;
  client = known === "--client-id" ? { client_id: name } : undefined;

  clientInformation = () => this.client;
  saveClientInformation = (client) => void (this.client = client);
  tokens = () => this.saved;
  saveTokens = (tokens) => void (this.saved = tokens);
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);

  async redirectToAuthorization(link) {
    this.visits += 1;
    const { stdout } = await promisify(execFile)("node", [program, link.href]);
    this.code = new URL(stdout.trim()).searchParams.get("code");
  }
}

const authProvider = new SigningIn();
const transport = () => new StreamableHTTPClientTransport(new URL(url), { authProvider });

async function connected() {
  const client = new Client({ name: "portcullis-peer-sdk-1x", version: "0.0.0" });
  const first = transport();
  try {
    await client.connect(first);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await first.finishAuth(authProvider.code);
    await client.connect(transport());
  }
  return client;
}

const client = await connected();
const report = { whoami: [], refresh_tokens: [] };
for (let calls = 0; calls < 2; calls += 1) {
  const { structuredContent } = await client.callTool({ name: "whoami", arguments: {} });
  report.whoami.push(structuredContent);
  report.refresh_tokens.push(authProvider.saved.refresh_token);
  authProvider.saved = { ...authProvider.saved, access_token: "ended" };
}
console.log(JSON.stringify({ ...report, visits: authProvider.visits }));
await client.close();
