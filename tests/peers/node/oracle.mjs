// What `jose` says of each token that tokens.mjs wrote.
//
//     node oracle.mjs DIR
//
// Reads DIR/keys.json and DIR/tokens.jsonl; prints for each line, in order, one line of
// JSON: {"ok": true, "why": ""} or {"ok": false, "why": "short reason"}.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { base64url, importJWK, jwtVerify } from "jose";

const [directory] = process.argv.slice(2);
if (!directory) throw new Error("usage: node oracle.mjs DIR");
const { issuer, audience, leeway, keys } = JSON.parse(readFileSync(join(directory, "keys.json"), "utf8"));

const imported = {};
for (const [name, { alg, jwk, secret }] of Object.entries(keys)) {
  imported[name] = secret ? base64url.decode(secret) : await importJWK(jwk, alg);
}

async function verdict({ key, alg, token }) {
  try {
    await jwtVerify(token, imported[key], {
      algorithms: [alg],
      issuer,
      audience,
      clockTolerance: leeway,
      requiredClaims: ["exp", "iss", "aud"],
    });
    return { ok: true, why: "" };
  } catch (error) {
    return { ok: false, why: `${error.code ?? error.name}: ${error.message}`.slice(0, 100) };
  }
}

for (const line of readFileSync(join(directory, "tokens.jsonl"), "utf8").trimEnd().split("\n")) {
  console.log(JSON.stringify(await verdict(JSON.parse(line))));
}
