// What a browser does at an identity provider: follows the redirects, keeps the cookies, and fills
// in the form of a page, as Alice does.

const MAX_PAGES = 20;
const ALICE = { name: "alice", password: "dev-password-alice" };

/** Goes to `url` and on, until it is sent away from that origin; gives where to. In a form it
 * presses the button `answer`. */
export async function follow(url, answer = "allow") {
  const { origin } = url;
  const cookies = new Map();
  let request = {};
  for (let pages = 0; url.origin === origin; pages += 1) {
    if (pages > MAX_PAGES) throw new Error(`${url.pathname}: round and round`);
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...request.headers, cookie };
    const response = await fetch(url, { ...request, redirect: "manual", headers });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const location = response.headers.get("location");
    const page = location ? "" : await response.text();
    const form = response.ok && /<form[^>]*>[^]*?<\/form>/.exec(page)?.[0];
    if (location) {
      url = new URL(location, url);
      request = {};
    } else if (form) {
      url = new URL(attributes(form).action ?? "", url);
      request = { method: "POST", body: filled(form, answer), headers: { origin } };
    } else {
      throw new Error(`${url.pathname}: ${response.status} ${page}`);
    }
  }
  return url;
}

/** What Alice sends with a form. */
function filled(form, answer) {
  const fields = new URLSearchParams();
  for (const [input] of form.matchAll(/<input[^>]*>/g)) {
    const { name, type = "text", value = "" } = attributes(input);
    const typed = { text: ALICE.name, password: ALICE.password };
    fields.set(name, typed[type] ?? value);
  }
  const buttons = [...form.matchAll(/<button[^>]*>/g)].map(([button]) => attributes(button));
  const button = buttons.find(({ value }) => value === answer);
  if (!button) throw new Error(`no button ${answer} in ${form}`);
  fields.set(button.name, button.value);
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
