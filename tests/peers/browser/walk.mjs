// What a person does and sees in Chromium, at the pages of a server:
//
//     node walk.mjs URL PICTURES WALK    prints what was seen, as JSON
//
// Every page is looked at by axe-core, and what its content security policy stopped is noted.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

const ALICE = { name: "alice", password: "dev-password-alice" };
/** A name of somebody else, written from right to left, that tries to reach beyond itself. */
const RTL_NAME = "\u05e2\u05d5\u05d6\u05e8 <b>";
const WEBSITE = "https://app.example.com/callback";
const APPS = ["cursor://anysphere.cursor-mcp/oauth/callback", "claude://oauth/callback"];
/** Those of RFC 7636, appendix B. */
const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const PATIENCE = 10_000;

const [url, pictures, name] = process.argv.slice(2);
const server = new URL(url);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What a program on the user's computer hears, and the form of a page that means ill. */
const heard = [];
const program = createServer((request, response) => {
  const asked = new URL(request.url, "http://program");
  response.setHeader("content-type", "text/html");
  if (asked.pathname === "/callback") {
    heard.push(Object.fromEntries(asked.searchParams));
    response.end("<!doctype html><title>Done</title>");
  } else if (asked.pathname === "/evil") {
    const fields = '<input name="request" value="x"><button name="decision" value="allow">Go</button>';
    response.end(`<form method="post" action="${server.origin}/consent">${fields}</form>`);
  } else if (asked.pathname === "/link") {
    const to = asked.searchParams.get("to").replaceAll("&", "&amp;");
    response.end(`<!doctype html><title>A website</title><a href="${to}">Sign in</a>`);
  } else if (asked.pathname === "/redirect") {
    response.writeHead(303, { location: asked.searchParams.get("to") }).end();
  } else {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => program.listen(0, "127.0.0.1", ready));
const local = `http://127.0.0.1:${program.address().port}`;

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP foreign.example 127.0.0.1, MAP app.example.com ~NOTFOUND",
  ],
});

/** A browser of one person: its page, and what its pages were stopped from doing. */
async function person(options = {}) {
  const context = await browser.newContext({ viewport: DESKTOP, ...options });
  const stopped = [];
  await context.exposeBinding("noteStopped", (_, what) => stopped.push(what));
  // Neither it nor axe-core is held to the policy of a page: DevTools runs them.
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      noteStopped(`${event.effectiveDirective} ${event.blockedURI}`),
    );
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) stopped.push(message.text());
  });
  return { context, page, stopped };
}

async function register(redirectUri, clientName = "A program") {
  const body = JSON.stringify({ redirect_uris: [redirectUri], client_name: clientName });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${server.origin}/register`, { method: "POST", headers, body });
  if (response.status !== 201) throw new Error(`registration: ${response.status}`);
  return (await response.json()).client_id;
}

async function link(redirectUri, clientName) {
  const parameters = new URLSearchParams({
    response_type: "code",
    client_id: await register(redirectUri, clientName),
    redirect_uri: redirectUri,
    state: "a state",
    code_challenge: CHALLENGE,
    code_challenge_method: "S256",
  });
  return `${server.origin}/authorize?${parameters}`;
}

const callback = `${local}/callback`;
const allow = (page) => page.getByRole("button", { name: "Allow" });

async function signIn(page, password = ALICE.password) {
  await page.getByLabel("User name").fill(ALICE.name);
  await page.getByLabel("Password").fill(password);
  await allow(page).click();
}

/** What a page says, and what axe-core finds wrong with it. */
async function look({ page }, picture) {
  if (picture) await page.screenshot({ path: `${pictures}/${picture}.png`, fullPage: true });
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run());
  const faults = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html)}`);
  const heading = await page.getByRole("heading", { level: 1 }).innerText();
  const text = await page.locator("main").innerText();
  return { heading, text, faults, language: await page.locator("html").getAttribute("lang") };
}

async function open(whose, address) {
  const response = await whose.page.goto(address);
  return { status: response.status(), type: response.headers()["content-type"] };
}

/** Where the browser goes next whose address begins so: Chromium hands it to an app. */
async function leaves(whose, prefix) {
  const devtools = await whose.context.newCDPSession(whose.page);
  await devtools.send("Network.enable");
  const end = new Promise((done) => {
    devtools.on("Network.requestWillBeSent", ({ request }) => {
      if (request.url.startsWith(prefix)) done(request.url);
    });
    setTimeout(done, PATIENCE, "nowhere").unref();
    whose.page.on("console", (message) => {
      if (message.text().includes("form-action")) done("nowhere");
    });
  });
  // Not the promise itself, which `await` would wait for.
  return () => end;
}

/** What the website is told to which `go` leads, in a tab of its own: nobody answers there. */
async function arrives({ context }, go) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const arrived = page.waitForRequest((request) => request.url().startsWith(WEBSITE));
  await go(page).catch(() => {});
  const told = Object.fromEntries(new URL((await arrived).url()).searchParams);
  await page.close();
  return told;
}

const walks = {
  async allow() {
    const alice = await person();
    const opened = await open(alice, await link(callback));
    const page = await look(alice);
    await signIn(alice.page);
    await alice.page.waitForURL(`${local}/**`);
    return { opened, pages: [page], stopped: alice.stopped, heard };
  },

  async deny() {
    const alice = await person();
    await open(alice, await link(callback));
    await alice.page.getByRole("button", { name: "Deny" }).click();
    await alice.page.waitForURL(`${local}/**`);
    return { pages: [], stopped: alice.stopped, heard };
  },

  async wrong_password() {
    const alice = await person();
    await open(alice, await link(callback));
    await signIn(alice.page, "not her password");
    const alert = await alice.page.getByRole("alert").innerText();
    const kept = await alice.page.getByLabel("User name").inputValue();
    const forgotten = await alice.page.getByLabel("Password").inputValue();
    const page = await look(alice, "wrong-password");
    await signIn(alice.page);
    await alice.page.waitForURL(`${local}/**`);
    return { alert, kept, forgotten, pages: [page], stopped: alice.stopped, heard };
  },

  /** With another policy, Chromium stops at the redirect: then `stopped` says so. */
  async app() {
    const [left, stopped] = [[], []];
    for (const app of APPS) {
      const alice = await person();
      const end = await leaves(alice, app);
      await open(alice, await link(app));
      await signIn(alice.page);
      left.push(await end());
      stopped.push(...alice.stopped);
    }
    const alice = await person();
    await alice.page.route("**/authorize?*", async (route) => {
      const response = await route.fetch();
      const policy = "form-action 'self'";
      const headers = { ...response.headers(), "content-security-policy": policy };
      await route.fulfill({ response, headers });
    });
    const end = await leaves(alice, APPS[0]);
    await open(alice, await link(APPS[0]));
    await signIn(alice.page);
    left.push(await end());
    return { left, stopped, stopped_by_another_policy: alice.stopped };
  },

  async expired() {
    const alice = await person();
    await open(alice, await link(callback));
    await alice.context.clearCookies();
    const answer = alice.page.waitForResponse("**/consent");
    await signIn(alice.page);
    const status = (await answer).status();
    await alice.page.waitForLoadState();
    const page = await look(alice, "expired");
    return { status, pages: [page], stopped: alice.stopped, heard };
  },

  async refused() {
    const [alice, pages, statuses, types] = [await person(), [], [], []];
    const foreign = `http://foreign.example:${server.port}`;
    const addresses = [
      `${foreign}/authorize?client_id=x`,
      `${foreign}${server.pathname}`,
      `${server.origin}/authorize?client_id=unknown&redirect_uri=${callback}`,
      `${server.origin}/consent`,
    ];
    for (const [index, address] of addresses.entries()) {
      const { status, type } = await open(alice, address);
      statuses.push(status);
      types.push(type);
      pages.push(await look(alice, `refused-${index}`));
    }
    await open(alice, `${local}/evil`);
    const answer = alice.page.waitForResponse("**/consent");
    await alice.page.getByRole("button").click();
    statuses.push((await answer).status());
    types.push((await answer).headers()["content-type"]);
    await alice.page.waitForLoadState();
    pages.push(await look(alice, "refused-form"));
    return { statuses, types, pages, stopped: alice.stopped, heard };
  },

  /** Users sign in at a provider, which shows no page: from the form by a page of ours, then there,
   * back here, and to the program. */
  async provider() {
    const alice = await person();
    const address = await link(callback, "Claude Code (portcullis)");
    await open(alice, address);
    const pages = [await look(alice, "provider")];
    await alice.page.emulateMedia({ colorScheme: "dark" });
    pages.push(await look(alice, "provider-dark"));
    await alice.page.emulateMedia({ colorScheme: "light" });
    // The page between is left at once, but for a browser that does not lead on by itself.
    await alice.page.route("**/consent", async (route) => {
      const response = await route.fetch();
      const body = (await response.text()).replace(/<meta http-equiv="refresh"[^>]*>/, "");
      await route.fulfill({ response, body });
    });
    await allow(alice.page).click();
    await alice.page.getByRole("link", { name: "Go on" }).waitFor();
    pages.push(await look(alice, "provider-departure"));
    await alice.page.unroute("**/consent");
    await open(alice, address);
    await allow(alice.page).click();
    await alice.page.waitForURL(`${local}/**`);
    await open(alice, address);
    await alice.page.getByRole("button", { name: "Deny" }).click();
    await alice.page.waitForURL(`${local}/**`);
    const left = await leaves(alice, APPS[0]);
    await open(alice, await link(APPS[0]));
    await allow(alice.page).click();
    return { pages, left: await left(), stopped: alice.stopped, heard };
  },

  /** A website, at which nobody answers, is allowed; then Alice goes there again, in each way. */
  async again() {
    const alice = await person();
    const address = await link(WEBSITE);
    const told = [
      await arrives(alice, async (page) => {
        await page.goto(address);
        await allow(page).click();
      }),
    ];
    // A typed address, and one that an app opened.
    told.push(await arrives(alice, (page) => page.goto(address)));
    const to = encodeURIComponent(address);
    // One of another site, which redirects.
    told.push(await arrives(alice, (page) => page.goto(`${local}/redirect?to=${to}`)));
    await alice.page.goto(`${local}/link?to=${to}`);
    await alice.page.getByRole("link").click();
    await allow(alice.page).waitFor();
    const pages = [await look(alice)];
    await alice.page.reload();
    pages.push(await look(alice));
    // The website registered once more.
    await open(alice, await link(WEBSITE));
    pages.push(await look(alice));
    return { told, pages, stopped: alice.stopped };
  },

  /** The page on which Alice sees what she allowed, once the program has its token. */
  async connections() {
    const alice = await person();
    const address = await link(callback, "Claude Code (portcullis)");
    await open(alice, address);
    await signIn(alice.page);
    await alice.page.waitForURL(`${local}/**`);
    const client_id = new URL(address).searchParams.get("client_id");
    const body = new URLSearchParams({
      grant_type: "authorization_code",
      code: heard[0].code,
      redirect_uri: callback,
      client_id,
      code_verifier: VERIFIER,
    });
    const token = await fetch(`${server.origin}/token`, { method: "POST", body });
    if (token.status !== 200) throw new Error(`token: ${token.status}`);
    await open(alice, `${server.origin}/connections`);
    const pages = [await look(alice, "connections-sign-in")];
    await alice.page.getByLabel("User name").fill(ALICE.name);
    await alice.page.getByLabel("Password").fill(ALICE.password);
    await alice.page.getByRole("button", { name: "Sign in" }).click();
    const revoke = alice.page.getByRole("button", { name: /Revoke/ });
    await revoke.waitFor();
    pages.push(await look(alice, "connections"));
    await alice.page.setViewportSize(PHONE);
    pages.push(await look(alice, "connections-phone"));
    await revoke.click();
    await revoke.waitFor({ state: "detached" });
    pages.push(await look(alice, "connections-none"));
    await alice.page.getByRole("button", { name: /Done/ }).click();
    await alice.page.getByRole("link").waitFor();
    pages.push(await look(alice, "connections-left"));
    return { pages, stopped: alice.stopped };
  },

  async connect() {
    const [pages, stopped] = [[], []];
    for (const [picture, options] of looks("connect")) {
      const alice = await person(options);
      await open(alice, url);
      pages.push(await look(alice, picture));
      stopped.push(...alice.stopped);
    }
    return { pages, stopped };
  },

  async looks() {
    const [pages, stopped] = [[], []];
    for (const [picture, options] of looks("consent")) {
      const alice = await person(options);
      await open(alice, await link(callback, "Claude Code (portcullis)"));
      pages.push(await look(alice, picture));
      stopped.push(...alice.stopped);
    }
    return { pages, stopped };
  },

  /** As a browser shows the page that translates it, with a name that is written so already. */
  async right_to_left() {
    const alice = await person({ viewport: PHONE });
    await open(alice, await link(callback, RTL_NAME));
    const bdi = alice.page.locator("bdi", { hasText: RTL_NAME });
    const isolated = await bdi.count();
    await alice.page.evaluate(() => document.documentElement.setAttribute("dir", "rtl"));
    const page = await look(alice, "consent-right-to-left");
    const sides = await alice.page.evaluate(() => {
      const { borderRightWidth, borderLeftWidth } = getComputedStyle(document.querySelector(".note"));
      return { borderRightWidth, borderLeftWidth };
    });
    return { isolated, sides, pages: [page], stopped: alice.stopped };
  },

  async phone() {
    const alice = await person({ viewport: PHONE, isMobile: true, hasTouch: true });
    await open(alice, await link(callback, "Claude Code (portcullis)"));
    await signIn(alice.page, "not her password");
    await alice.page.getByRole("alert").waitFor();
    const page = await look(alice, "consent-phone-wrong-password");
    const seen = await alice.page.evaluate(() => {
      const boxes = [...document.querySelectorAll("button, input:not([type=hidden])")].map((each) =>
        each.getBoundingClientRect(),
      );
      return {
        ends: Math.max(...boxes.map((box) => box.bottom)),
        smallest: Math.min(...boxes.map((box) => box.height)),
        width: document.documentElement.scrollWidth,
      };
    });
    return { ...seen, pages: [page], stopped: alice.stopped };
  },
};

function looks(what) {
  return [
    [`${what}-light`, { colorScheme: "light" }],
    [`${what}-dark`, { colorScheme: "dark" }],
    [`${what}-phone`, { colorScheme: "light", viewport: PHONE, isMobile: true, hasTouch: true }],
    [`${what}-phone-dark`, { colorScheme: "dark", viewport: PHONE, isMobile: true, hasTouch: true }],
  ];
}

try {
  console.log(JSON.stringify(await walks[name]()));
} finally {
  await browser.close();
  program.close();
  program.closeAllConnections();
}
