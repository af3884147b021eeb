// A reverse proxy on loopback that adds a bearer token, for a suite that has none.
//
// Everything else passes as it was sent, in both directions and piece by piece: Host and
// Origin, which the server judges itself; repeated headers; streams.

import http from "node:http";
import { once } from "node:events";

// Starts it in front of `upstream`. Gives the URL to use instead, and `close`.
export async function bearerProxy(upstream, token) {
  const { hostname, port, pathname } = new URL(upstream);
  const server = http.createServer((request, response) => {
    const headers = [...request.rawHeaders, "Authorization", `Bearer ${token}`];
    const { method, url: path } = request;
    const options = { hostname, port, method, path, headers, agent: false };
    const forwarded = http.request(options, (answer) => {
      response.writeHead(answer.statusCode, answer.statusMessage, answer.rawHeaders);
      response.flushHeaders();
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    forwarded.on("error", () => response.destroy());
    response.on("close", () => forwarded.destroy());
    request.pipe(forwarded);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}${pathname}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
