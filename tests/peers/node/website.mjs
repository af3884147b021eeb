// Websites that publish the metadata documents of clients, over https.
//
//     node website.mjs KEY CERTIFICATE [PORT HOST/PATH...]
//
// Without further arguments it is one, at a free port of 127.0.0.1. With them it answers at PORT of
// every address, for those hosts and paths. Prints one line when it listens: a list of the documents'
// addresses. Ends when stdin closes.

import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [key, cert, port = "0", ...named] = process.argv.slice(2);

/** As programs on the user's device have it: the port of each is free. */
const REDIRECT_URIS = ["localhost", "127.0.0.1"].flatMap((host) =>
  ["/callback", "/oauth/callback"].map((path) => `http://${host}${path}`),
);

let documents;

const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, answer) => {
  const url = `https://${request.headers.host}${request.url}`;
  if (!documents.includes(url)) return answer.writeHead(404).end();
  const document = {
    client_id: url,
    client_name: "An app of its website",
    redirect_uris: REDIRECT_URIS,
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
  answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(document));
});

server.listen(Number(port), named.length > 0 ? "0.0.0.0" : "127.0.0.1", () => {
  const own = `127.0.0.1:${server.address().port}/oauth/client.json`;
  documents = (named.length > 0 ? named : [own]).map((document) => `https://${document}`);
  console.log(JSON.stringify(documents));
});
process.stdin.resume().on("end", () => process.exit());
