// What a browser does at an identity provider: follows the redirects and keeps the cookies.

const MAX_REDIRECTS = 20;

/** Goes to `url` and on, until it is sent away from that origin; gives where to. */
export async function follow(url) {
  const { origin } = url;
  const cookies = new Map();
  for (let redirects = 0; url.origin === origin; redirects += 1) {
    if (redirects > MAX_REDIRECTS) throw new Error(`${url.pathname}: round and round`);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, { redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const location = response.headers.get("location");
    if (!location) throw new Error(`${url.pathname}: ${response.status} ${await response.text()}`);
    url = new URL(location, url);
  }
  return url;
}
