// What a browser does with a link to an authorization server: follows redirects and pages that lead
// on, keeps the cookies of each origin, and fills in the form of a page, as Alice does.

const MAX_PAGES = 20;
/** What the button says with which Alice lets a client in. */
const ALLOW = ["allow", "accept"];
const ALICE = { name: "alice", password: "dev-password-alice" };

/** Goes to `url` and on, through whichever identity providers, until it is sent to the client's
 * redirect URI; gives what that was called with. In a form it presses the button `answer`, or the
 * only one. */
export async function follow(url, answer = "allow") {
  const end = new URL(url.searchParams.get("redirect_uri"));
  const jars = new Map();
  let request = {};
  for (let pages = 0; !(url.origin === end.origin && url.pathname === end.pathname); pages += 1) {
    if (pages > MAX_PAGES) throw new Error(`${url.pathname}: round and round`);
    const cookies = jars.get(url.origin) ?? new Map();
    jars.set(url.origin, cookies);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...request.headers, cookie };
    const response = await fetch(url, { ...request, redirect: "manual", headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const location = response.headers.get("location");
    const page = location ? "" : await response.text();
    const next = location ?? (response.ok ? leadsOn(page) : undefined);
    const form = response.ok && /<form[^>]*method="post"[^>]*>[^]*?<\/form>/i.exec(page)?.[0];
    if (next) {
      url = new URL(next, url);
      request = {};
    } else if (form) {
      const { origin } = url;
      url = new URL(attributes(form).action || url, url);
      request = { method: "POST", body: filled(form, answer), headers: { origin } };
    } else {
      throw new Error(`${url.pathname}: ${response.status} ${page}`);
    }
  }
  return url;
}

/** Where a page leads by itself. */
function leadsOn(page) {
  const refresh = /<meta http-equiv="refresh"[^>]*>/i.exec(page)?.[0];
  return refresh && attributes(refresh).content.replace(/^\d+; *url=/i, "");
}

/** What Alice sends with a form. */
function filled(form, answer) {
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input[^>]*>/g)) {
    const { name, type = "text", value = "" } = attributes(input);
    const typed = { text: ALICE.name, password: ALICE.password };
    if (name) fields.set(name, typed[type] ?? value);
  }
  const buttons = [...form.matchAll(/<button[^>]*>/g)].map(([button]) => attributes(button));
  const values = answer === "allow" ? ALLOW : [answer];
  const only = buttons.length === 1 ? buttons[0] : undefined;
  const button = buttons.find(({ value }) => values.includes(value)) ?? only;
  if (!button) throw new Error(`no button ${answer} in ${form}`);
  if (button.name) fields.set(button.name, button.value ?? "");
  return fields;
}

/** The attributes of the first tag. */
function attributes(tag) {
  const [head] = /<[^>]*>/.exec(tag);
  const pairs = head.matchAll(/([\w-]+)="([^"]*)"/g);
  return Object.fromEntries([...pairs].map(([, name, value]) => [name, decoded(value)]));
}

function decoded(text) {
  const names = { amp: "&", lt: "<", gt: ">", quot: '"' };
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (_, digits, hex, name) =>
    name ? names[name] : String.fromCodePoint(digits ? Number(digits) : parseInt(hex, 16)));
}
