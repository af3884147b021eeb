// Tokens for a differential run of JWT verifiers: a third valid, the others each with one
// mutation, signed again after it wherever it is in the header or the payload.
//
//     node tokens.mjs --count COUNT --seed SEED --out DIR [--kinds]
//
// Writes
//
//     DIR/keys.json     {"issuer", "audience", "leeway", "jwks": {"keys": […]},
//                        "keys": {"rs256": {"alg", "jwk", "pem"}, "hs256": {"alg", "secret"}, …}}
//                       public keys as JWK and SPKI PEM, HMAC secrets as base64url
//     DIR/tokens.jsonl  one line each: {"kind", "key", "alg", "token"}; the verifier under test
//                       takes the key of that name and no algorithm but `alg`
//
// The seed decides the kinds, the algorithms and the claims; keys and times are those of the
// run. Every time is at least five minutes from any boundary (`exp`, `nbf`, 30 s of leeway).
// `--kinds` prints the names of all kinds and ends.

import {
  constants,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  privateEncrypt,
  sign as asymmetric,
} from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { deflateRawSync } from "node:zlib";

import { CompactEncrypt, exportJWK, exportPKCS8, exportSPKI, generateKeyPair, generateSecret } from "jose";

const ISSUER = "https://idp.example.com";
const AUDIENCE = "https://mcp.example.com/mcp";
const LEEWAY = 30;
const NOW = Math.floor(Date.now() / 1000);

const { values: run } = parseArgs({
  options: {
    count: { type: "string", default: "12000" },
    seed: { type: "string", default: "1" },
    out: { type: "string" },
    kinds: { type: "boolean", default: false },
  },
});

// --- choices ---------------------------------------------------------------------------

// mulberry32
let state = Number(run.seed) >>> 0;
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const chance = (p) => random() < p;

// --- keys ------------------------------------------------------------------------------

const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS512"];
const ASYMMETRIC = ALGORITHMS.filter((alg) => !alg.startsWith("HS"));
const RSA = ["RS256", "RS384", "RS512", "PS256"];
const PKCS1 = ["RS256", "RS384", "RS512"];
const ECDSA = ["ES256", "ES384", "ES512"];
// Those whose signatures leave bits over in base64.
const UNEVEN = ALGORITHMS.filter((alg) => !["ES384", "ES512"].includes(alg));

async function newKey(alg) {
  if (alg.startsWith("HS")) {
    const secret = await generateSecret(alg, { extractable: true });
    // A secret is a text wherever one is configured.
    return { alg, secret: Buffer.from((await exportJWK(secret)).k) };
  }
  const pair = await generateKeyPair(alg, { extractable: true });
  return {
    alg,
    private: createPrivateKey(await exportPKCS8(pair.privateKey)),
    pem: await exportSPKI(pair.publicKey),
    jwk: { ...(await exportJWK(pair.publicKey)), kid: alg.toLowerCase(), alg, use: "sig" },
  };
}

async function keyRing() {
  return Object.fromEntries(await Promise.all(ALGORITHMS.map(async (alg) => [alg, await newKey(alg)])));
}
const ours = await keyRing();
const attacker = await keyRing();

// --- signatures ------------------------------------------------------------------------

const hashOf = (alg) => (alg === "EdDSA" ? null : `sha${alg.slice(-3)}`);

function signature(alg, key, input, options = {}) {
  const { dsaEncoding = "ieee-p1363", saltLength = constants.RSA_PSS_SALTLEN_DIGEST } = options;
  if (alg.startsWith("HS")) return createHmac(hashOf(alg), key).update(input).digest();
  const padding = alg.startsWith("PS") ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength } : {};
  return asymmetric(hashOf(alg), input, { key, dsaEncoding, ...padding });
}

const secretOf = (key) => key.secret ?? key.private;

const ORDER = {
  ES256: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  ES384: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ES512:
    0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  EdDSA: 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3edn,
};
const toInteger = (bytes) => BigInt(`0x${bytes.toString("hex")}`);
const toBytes = (integer, length) => Buffer.from(integer.toString(16).padStart(2 * length, "0"), "hex");
const halves = (bytes) => [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];

// --- the parts of a token --------------------------------------------------------------

// A value that is written into the JSON as it stands.
class Raw {
  constructor(text) {
    this.text = text;
  }
}
const raw = (text) => new Raw(text);
const written = (value) => (value instanceof Raw ? value.text : JSON.stringify(value));

// One object from `members`; `before` and `after` are texts of more members, for duplicates.
function json(members, { before = "", after = "" } = {}) {
  const texts = Object.entries(members)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${written(value)}`);
  return `{${[before, ...texts, after].filter(Boolean).join(",")}}`;
}

const base64url = (data) => Buffer.from(data).toString("base64url");
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Sets bits of the last character that stand for no byte; null if there are none.
function looseBits(text) {
  const unused = { 2: 15, 3: 3 }[text.length % 4];
  if (!unused) return null;
  const last = ALPHABET.indexOf(text.at(-1));
  return text.slice(0, -1) + ALPHABET[last | (1 + below(unused))];
}

const padded = (text) => text + "=".repeat((4 - (text.length % 4)) % 4);
const standard = (text) => text.replaceAll("-", "+").replaceAll("_", "/");

function flipped(text) {
  // Not the last character, whose bits may stand for nothing.
  const at = below(text.length - 1);
  const others = [...ALPHABET].filter((character) => character !== text[at]);
  return text.slice(0, at) + pick(others) + text.slice(at + 1);
}

const NAMES = ["alice", "bob", "zoë", "李雷", "a|b", "00u1a2b3c4", "user@example.com", "🦀"];

function freshClaims() {
  const claims = { iss: ISSUER, sub: pick(NAMES), aud: AUDIENCE, exp: NOW + 3600 + below(86_400) };
  if (chance(0.3)) claims.aud = chance(0.5) ? [AUDIENCE] : ["https://other.example.com", AUDIENCE];
  if (chance(0.7)) claims.iat = NOW - 400 - below(3000);
  if (chance(0.4)) claims.nbf = NOW - 400 - below(3000);
  if (chance(0.5)) claims.jti = `${below(2 ** 32).toString(36)}-${below(2 ** 32).toString(36)}`;
  if (chance(0.5)) claims.scope = pick(["read", "read write", "read write admin", ""]);
  else if (chance(0.5)) claims.scp = pick([["read"], ["read", "write"], []]);
  if (chance(0.3)) claims.client_id = "alice-app";
  if (chance(0.2)) claims.realm_access = { roles: ["admin", { deep: [1, null, true, -2.5] }] };
  if (chance(0.2)) claims["https://example.com/tenant"] = { name: "Ünïcode \u2028 \u0000 \"quoted\"", id: 7 };
  return claims;
}

function freshHeader(alg) {
  const header = { alg };
  if (chance(0.7)) header.typ = pick(["JWT", "at+jwt"]);
  if (chance(0.7)) header.kid = alg.toLowerCase();
  if (chance(0.1)) header.x5t = "3q2-7w";
  if (chance(0.1)) header["https://example.com/hint"] = { any: ["thing", 1] };
  return header;
}

// Everything that one token is made of; a kind changes a part of it, then calls `token()`.
class Draft {
  constructor(alg) {
    this.alg = alg;
    this.key = ours[alg];
    this.header = freshHeader(alg);
    this.claims = freshClaims();
    this.signAs = alg;
    this.signWith = secretOf(this.key);
  }

  // Texts and bytes that replace what `header` and `claims` would give.
  parts({ headerText, payload, headerPart, payloadPart, signing } = {}) {
    const header = headerPart ?? base64url(headerText ?? json(this.header));
    const body = payloadPart ?? base64url(payload ?? json(this.claims));
    const bytes = signature(this.signAs, this.signWith, Buffer.from(`${header}.${body}`), signing);
    return { header, body, bytes, signature: base64url(bytes) };
  }

  token(replacements) {
    const { header, body, signature } = this.parts(replacements);
    return `${header}.${body}.${signature}`;
  }
}

// --- kinds -----------------------------------------------------------------------------

const kinds = {};

function kind(name, make, algorithms = ALGORITHMS) {
  if (kinds[name]) throw new Error(`two kinds are called ${name}`);
  kinds[name] = { make, algorithms };
}

// A family of kinds: `PREFIX-NAME` for each member of `values`.
function family(prefix, values, make, algorithms) {
  for (const [name, value] of Object.entries(values)) {
    kind(`${prefix}-${name}`, (draft) => make(draft, value), algorithms);
  }
}

const claim = (name, values) =>
  family(name, values, (draft, value) => {
    draft.claims[name] = typeof value === "function" ? value() : value;
    return draft.token();
  });

const headerMember = (name, values) =>
  family(name, values, (draft, value) => {
    draft.header[name] = value;
    return draft.token();
  });

// Another form of the whole token.
const form = (name, change, algorithms) => kind(name, (draft) => change(draft.parts(), draft), algorithms);

// Another signature of an otherwise good token.
const signatureBytes = (name, change, algorithms) =>
  form(name, ({ header, body, bytes }, draft) => {
    const input = Buffer.from(`${header}.${body}`);
    return `${header}.${body}.${base64url(change(bytes, draft, input))}`;
  }, algorithms);

// A text of more members after the good ones.
const withClaim = (text) => (draft) => draft.token({ payload: json(draft.claims, { after: text }) });
const withMember = (text) => (draft) => draft.token({ headerText: json(draft.header, { after: text }) });

// Characters and structure of the compact form.

form("flip-header", (p) => `${flipped(p.header)}.${p.body}.${p.signature}`);
form("flip-payload", (p) => `${p.header}.${flipped(p.body)}.${p.signature}`);
form("flip-signature", (p) => `${p.header}.${p.body}.${flipped(p.signature)}`);
form("truncated-header", (p) => `${p.header.slice(0, below(p.header.length))}.${p.body}.${p.signature}`);
form("truncated-payload", (p) => `${p.header}.${p.body.slice(0, below(p.body.length))}.${p.signature}`);
form("truncated-signature", (p) => {
  const cut = p.signature.slice(0, below(p.signature.length - 1));
  return `${p.header}.${p.body}.${cut}`;
});
form("two-parts", (p) => `${p.header}.${p.body}`);
form("one-part", (p) => p.header);
form("four-parts", (p) => `${p.header}.${p.body}.${p.signature}.${p.signature}`);
form("trailing-dot", (p) => `${p.header}.${p.body}.${p.signature}.`);
form("leading-dot", (p) => `.${p.header}.${p.body}.${p.signature}`);
form("empty-header", (p) => `.${p.body}.${p.signature}`);
form("empty-payload", (p) => `${p.header}..${p.signature}`);
form("empty-signature", (p) => `${p.header}.${p.body}.`);
form("only-dots", () => "..");
form("empty-token", () => "");
form("twice", (p) => `${p.header}.${p.body}.${p.signature}${p.header}.${p.body}.${p.signature}`);
form("payload-first", (p) => `${p.body}.${p.header}.${p.signature}`);
form("bearer-prefix", (p) => `Bearer ${p.header}.${p.body}.${p.signature}`);
form("quoted", (p) => `"${p.header}.${p.body}.${p.signature}"`);
form("percent-encoded", (p) => `${p.header}%2E${p.body}%2E${p.signature}`);
form("base64-of-token", (p) => base64url(`${p.header}.${p.body}.${p.signature}`));
form("json-flattened", (p) => JSON.stringify({ protected: p.header, payload: p.body, signature: p.signature }));
form("json-general", (p) =>
  JSON.stringify({ payload: p.body, signatures: [{ protected: p.header, signature: p.signature }] }),
);
form("five-parts", (p) => [p.header, p.body, p.signature, p.body, p.signature].join("."));

const SPACES = { space: " ", newline: "\n", crlf: "\r\n", tab: "\t", nul: "\0", nbsp: "\u00a0", accent: "é" };
family("leading", SPACES, (draft, space) => space + draft.token());
family("trailing", SPACES, (draft, space) => draft.token() + space);
family("around-dots", SPACES, (draft, space) => draft.token().replaceAll(".", `${space}.${space}`));
family("inside-signature", SPACES, (draft, space) => {
  const { header, body, signature } = draft.parts();
  const at = 1 + below(signature.length - 2);
  return `${header}.${body}.${signature.slice(0, at)}${space}${signature.slice(at)}`;
});
family("inside-payload-signed", SPACES, (draft, space) => {
  const body = base64url(json(draft.claims));
  const at = 4 * (1 + below(body.length / 4 - 2));
  return draft.token({ payloadPart: body.slice(0, at) + space + body.slice(at) });
});

// Whitespace in the JSON shifts it until the part has the form that is wanted.
function shifted(text, change, wanted) {
  for (let spaces = 0; spaces < 8; spaces += 1) {
    const part = base64url(text.slice(0, 1) + " ".repeat(spaces) + text.slice(1));
    if (wanted(part)) return change(part);
  }
  throw new Error(`not to be shifted: ${text}`);
}
const uneven = (part) => part.length % 4 !== 0;
const special = (part) => /[-_]/.test(part);

kind("padding-header", (d) => d.token({ headerPart: shifted(json(d.header), padded, uneven) }));
kind("padding-payload", (d) => d.token({ payloadPart: shifted(json(d.claims), padded, uneven) }));
form("padding-signature", (p) => `${p.header}.${p.body}.${padded(p.signature)}`, UNEVEN);
kind("padding-excess", (d) => `${d.token()}====`);
kind("loose-bits-header", (d) => d.token({ headerPart: shifted(json(d.header), looseBits, uneven) }));
kind("loose-bits-payload", (d) => d.token({ payloadPart: shifted(json(d.claims), looseBits, uneven) }));
form("loose-bits-signature", (p) => `${p.header}.${p.body}.${looseBits(p.signature)}`, UNEVEN);
kind("standard-alphabet-header", (d) => {
  d.header.hint = "~~~???";
  return d.token({ headerPart: shifted(json(d.header), standard, special) });
});
kind("standard-alphabet-payload", (d) => {
  d.claims.hint = "~~~???";
  return d.token({ payloadPart: shifted(json(d.claims), standard, special) });
});
kind("standard-alphabet-signature", (d) => {
  for (let n = 0; ; n += 1) {
    d.claims.jti = `try ${n}`;
    const { header, body, signature } = d.parts();
    if (special(signature)) return `${header}.${body}.${standard(signature)}`;
  }
});
kind("impossible-length-payload", (d) =>
  d.token({ payloadPart: shifted(json(d.claims), (part) => `${part}A`, (part) => !uneven(part)) }),
);
kind("raw-json-payload", (d) => d.token({ payloadPart: json(d.claims).replaceAll(".", "\\u002e") }));

// The algorithm.

headerMember("alg", {
  "none-capital": "None",
  "none-mixed-case": "nOnE",
  missing: undefined,
  number: 256,
  null: null,
  empty: "",
  true: true,
  space: raw('"RS256 "'),
  unknown: "XX999",
});
kind("alg-array", (d) => {
  d.header.alg = [d.alg];
  return d.token();
});
kind("alg-lower-case", (d) => {
  d.header.alg = d.alg.toLowerCase();
  return d.token();
});
kind("alg-none", (d) => {
  d.header.alg = "none";
  const { header, body } = d.parts();
  return `${header}.${body}.`;
});
kind("alg-none-signed", (d) => {
  d.header.alg = "none";
  return d.token();
});
kind("alg-none-two-parts", (d) => {
  d.header.alg = "none";
  const { header, body } = d.parts();
  return `${header}.${body}`;
});
kind("alg-escaped-name", (d) => d.token({ headerText: json(d.header).replace('"alg"', '"\\u0061lg"') }));
kind("alg-ed25519", (d) => {
  d.header.alg = "Ed25519";
  return d.token();
}, ["EdDSA"]);
kind("alg-of-same-family", (d) => {
  const relatives = d.alg.startsWith("HS") ? ["HS256", "HS512"] : RSA;
  d.header.alg = d.signAs = pick(relatives.filter((alg) => alg !== d.alg));
  return d.token();
}, [...RSA, "HS256", "HS512"]);
kind("alg-says-other-than-signature", (d) => {
  d.signAs = pick(RSA.filter((alg) => alg !== d.alg));
  return d.token();
}, RSA);
family(
  "alg-hmac",
  {
    "public-pem": (key) => key.pem,
    "public-pem-trimmed": (key) => key.pem.trim(),
    "public-der": (key) => createPublicKey(key.private).export({ format: "der", type: "spki" }),
    "public-jwk": (key) => JSON.stringify(key.jwk),
    "empty-secret": () => "",
  },
  (d, secret) => {
    d.header.alg = d.signAs = "HS256";
    d.signWith = secret(d.key);
    return d.token();
  },
  ASYMMETRIC,
);

// Keys that the token names itself.

kind("other-key", (d) => {
  d.signWith = secretOf(attacker[d.alg]);
  return d.token();
});
kind("jwk-header", (d) => {
  const { kid, ...jwk } = attacker[d.alg].jwk;
  d.header.jwk = jwk;
  d.signWith = attacker[d.alg].private;
  return d.token();
}, ASYMMETRIC);
kind("jwk-header-our-signature", (d) => {
  d.header.jwk = attacker[d.alg].jwk;
  return d.token();
}, ASYMMETRIC);
family("key-url", { jku: "jku", x5u: "x5u" }, (d, name) => {
  d.header[name] = "https://attacker.example.com/keys";
  d.signWith = secretOf(attacker[d.alg]);
  return d.token();
});
headerMember("kid", {
  unknown: "no-such-key",
  missing: undefined,
  number: 7,
  null: null,
  array: ["rs256"],
  empty: "",
  path: "../../../../dev/null",
  sql: "x' UNION SELECT 'key",
});

// Other members of the header.

headerMember("typ", {
  jwt: "JWT",
  "at-jwt": "at+jwt",
  application: "application/at+jwt",
  "upper-case": "AT+JWT",
  jwe: "JWE",
  dpop: "dpop+jwt",
  logout: "logout+jwt",
  number: 7,
  null: null,
  array: ["JWT"],
  empty: "",
  missing: undefined,
});
headerMember("cty", { jwt: "JWT", number: 7 });
headerMember("crit", {
  empty: [],
  unknown: ["https://example.com/hint"],
  standard: ["alg"],
  exp: ["exp"],
  string: "exp",
  number: 1,
  null: null,
  object: { exp: true },
  numbers: [1],
  "empty-name": [""],
});
kind("crit-unknown-present", withMember('"crit":["x-must"],"x-must":true'));
kind("crit-exp-present", withMember(`"crit":["exp"],"exp":${NOW + 7200}`));
kind("crit-b64-true", withMember('"b64":true,"crit":["b64"]'));
kind("crit-b64-twice", withMember('"b64":true,"crit":["b64","b64"]'));
kind("crit-b64-absent", withMember('"crit":["b64"]'));
kind("b64-true", withMember('"b64":true'));
kind("b64-false", withMember('"b64":false'));
kind("b64-string", withMember('"b64":"false","crit":["b64"]'));
kind("crit-b64-false", withMember('"b64":false,"crit":["b64"]'));
family("unencoded-payload", { crit: ',"crit":["b64"]', "no-crit": "" }, (d, crit) =>
  d.token({
    headerText: json(d.header, { after: `"b64":false${crit}` }),
    payloadPart: json(d.claims).replaceAll(".", "\\u002e"),
  }),
);
kind("zip-header", withMember('"zip":"DEF"'));
kind("zip-deflated", (d) =>
  d.token({ headerText: json(d.header, { after: '"zip":"DEF"' }), payload: deflateRawSync(json(d.claims)) }),
);
kind("enc-header", withMember('"enc":"A256GCM"'));

// Duplicate members: which one counts is the reader's luck.

family(
  "duplicate-header",
  {
    "alg-none-first": (d) => ({ before: '"alg":"none"' }),
    "alg-none-last": (d) => ({ after: '"alg":"none"' }),
    "alg-same": (d) => ({ after: `"alg":"${d.alg}"` }),
    "alg-escaped": (d) => ({ before: '"\\u0061lg":"none"' }),
    kid: () => ({ before: '"kid":"a"', after: '"kid":"b"' }),
    typ: () => ({ before: '"typ":"JWE"', after: '"typ":"JWT"' }),
    crit: () => ({ before: '"crit":["x-must"]', after: '"crit":[]' }),
    other: () => ({ after: '"hint":1,"hint":2' }),
    nested: () => ({ after: '"hint":{"a":1,"a":2}' }),
  },
  (d, extra) => d.token({ headerText: json(d.header, extra(d)) }),
);
family(
  "duplicate-payload",
  {
    "sub-first": { before: '"sub":"admin"' },
    "sub-last": { after: '"sub":"admin"' },
    "sub-escaped-last": { after: '"\\u0073ub":"admin"' },
    "exp-past-first": { before: `"exp":${NOW - 7200}` },
    "exp-past-last": { after: `"exp":${NOW - 7200}` },
    "aud-wrong-first": { before: '"aud":"https://other.example.com"' },
    "aud-wrong-last": { after: '"aud":"https://other.example.com"' },
    "iss-wrong-first": { before: '"iss":"https://evil.example.com"' },
    "iss-wrong-last": { after: '"iss":"https://evil.example.com"' },
    "nbf-future-first": { before: `"nbf":${NOW + 7200}`, after: `"nbf":${NOW - 7200}` },
    "nbf-future-last": { before: `"nbf":${NOW - 7200}`, after: `"nbf":${NOW + 7200}` },
    scope: { before: '"scope":"read"', after: '"scope":"admin"' },
    "iss-same": { after: `"iss":"${ISSUER}"` },
    other: { after: '"colour":"red","colour":"blue"' },
    nested: { after: '"act":{"sub":"a","sub":"b"}' },
  },
  (d, extra) => {
    // Else a claim that is there by chance decides.
    delete d.claims.nbf;
    delete d.claims.scope;
    return d.token({ payload: json(d.claims, extra) });
  },
);

// Claims.

const NOT_TIMES = {
  string: () => String(NOW + 7200),
  true: true,
  null: null,
  array: () => [NOW + 7200],
  object: () => ({ at: NOW + 7200 }),
  empty: "",
  date: "2099-01-01T00:00:00Z",
};
claim("exp", {
  ...NOT_TIMES,
  missing: undefined,
  past: () => NOW - 600 - below(100_000),
  "past-fraction": () => NOW - 600.5,
  zero: 0,
  "minus-zero": raw("-0"),
  negative: -1,
  "very-negative": raw("-1e400"),
  fraction: () => NOW + 7200.5,
  "dot-zero": () => raw(`${NOW + 7200}.0`),
  exponent: raw("1e10"),
  "exponent-fraction": raw("1.9e+10"),
  "small-exponent": raw("1e-10"),
  milliseconds: () => (NOW + 7200) * 1000,
  "year-9999": 253402300799,
  "above-2-53": raw("9007199254740993"),
  "above-2-63": raw("9223372036854775808"),
  "above-2-64": raw("18446744073709551616"),
  "1e308": raw("1e308"),
  infinite: raw("1e400"),
  "hundred-digits": raw("9".repeat(100)),
  "in-twenty-minutes": () => NOW + 1200,
});
claim("nbf", {
  ...NOT_TIMES,
  future: () => NOW + 1800 + below(100_000),
  fraction: () => NOW - 600.5,
  "future-fraction": () => NOW + 1800.5,
  zero: 0,
  negative: -1,
  exponent: raw("1e9"),
  infinite: raw("1e400"),
  "very-negative": raw("-1e400"),
  "above-2-64": raw("18446744073709551616"),
});
claim("iat", {
  ...NOT_TIMES,
  future: () => NOW + 1800 + below(100_000),
  missing: undefined,
  fraction: () => NOW - 600.5,
  "number-in-string": () => String(NOW - 600),
  zero: 0,
  negative: -1,
  exponent: raw("1e9"),
  infinite: raw("1e400"),
});
claim("iss", {
  missing: undefined,
  wrong: "https://evil.example.com",
  empty: "",
  null: null,
  number: 7,
  true: true,
  array: [ISSUER],
  "array-of-two": [ISSUER, "https://evil.example.com"],
  object: { url: ISSUER },
  "trailing-slash": `${ISSUER}/`,
  "upper-case": "https://IDP.example.com",
  "upper-scheme": "HTTPS://idp.example.com",
  "default-port": `${ISSUER}:443`,
  http: ISSUER.replace("https", "http"),
  prefix: ISSUER.slice(0, -1),
  longer: `${ISSUER}.evil.example.com`,
  "trailing-space": `${ISSUER} `,
  nul: `${ISSUER}\0`,
  userinfo: "https://evil@idp.example.com",
  homoglyph: "https://\u0456dp.example.com",
});
kind("iss-escaped", (d) => {
  d.claims.iss = raw(`"${ISSUER.replace("https", "\\u0068ttps").replaceAll("/", "\\/")}"`);
  return d.token();
});
claim("aud", {
  missing: undefined,
  wrong: "https://other.example.com/mcp",
  empty: "",
  null: null,
  number: 7,
  true: true,
  object: { [AUDIENCE]: true },
  "empty-array": [],
  array: [AUDIENCE],
  "array-with-ours-first": [AUDIENCE, "https://other.example.com"],
  "array-with-ours-last": ["a", "b", AUDIENCE],
  "array-without-ours": ["https://other.example.com", "account"],
  "array-twice": [AUDIENCE, AUDIENCE],
  "array-with-number-and-ours": [7, AUDIENCE],
  "array-with-null-and-ours": [AUDIENCE, null],
  "array-of-numbers": [7],
  "array-in-array": [[AUDIENCE]],
  "trailing-slash": `${AUDIENCE}/`,
  "upper-case": AUDIENCE.toUpperCase(),
  prefix: AUDIENCE.slice(0, -1),
  longer: `${AUDIENCE}/extra`,
  origin: "https://mcp.example.com",
  query: `${AUDIENCE}?a=b`,
  fragment: `${AUDIENCE}#a`,
  "default-port": AUDIENCE.replace(".com/", ".com:443/"),
  star: "*",
  "space-separated": `${AUDIENCE} https://other.example.com`,
  "array-json-string": JSON.stringify([AUDIENCE]),
});
claim("sub", {
  missing: undefined,
  empty: "",
  number: 7,
  null: null,
  true: true,
  array: ["alice"],
  object: { name: "alice" },
  nul: "alice\0admin",
  newline: "alice\nadmin",
  "lone-surrogate": raw('"\\ud800"'),
  "4-kilobytes": "a".repeat(4096),
});
claim("jti", { number: 7, null: null, empty: "", array: ["a"] });
claim("scope", { number: 7, null: null, array: ["read", "write"], object: {}, spaces: "  read   write " });
claim("scp", { string: "read write", number: 7, null: null, numbers: [1], nested: [["admin"]] });
kind("exp-escaped-name", (d) => d.token({ payload: json(d.claims).replace('"exp"', '"\\u0065xp"') }));
kind("exp-upper-case-name", (d) => d.token({ payload: json(d.claims).replace('"exp"', '"EXP"') }));

// The text of the payload.

family(
  "payload",
  {
    array: (d, text) => `[${text}]`,
    string: (d, text) => JSON.stringify(text),
    "string-token": (d) => JSON.stringify(d.token()),
    number: () => "7",
    null: () => "null",
    true: () => "true",
    "empty-text": () => "",
    "empty-object": () => "{}",
    "empty-array": () => "[]",
    spaces: () => "   ",
    "surrounding-whitespace": (d, text) => ` \r\n\t${text}\n`,
    "form-feed": (d, text) => `\f${text}`,
    nbsp: (d, text) => `\u00a0${text}`,
    bom: (d, text) => `\ufeff${text}`,
    "utf-16": (d, text) => Buffer.from(text, "utf16le"),
    "utf-16-bom": (d, text) => Buffer.from(`\ufeff${text}`, "utf16le"),
    "utf-32": (d, text) => Buffer.concat([...text].map((c) => Buffer.from([c.codePointAt(0) & 255, 0, 0, 0]))),
    "trailing-text": (d, text) => `${text}x`,
    "trailing-nul": (d, text) => `${text}\0`,
    "trailing-brace": (d, text) => `${text}}`,
    "second-object": (d, text) => `${text}{"sub":"admin"}`,
    "trailing-comma": (d, text) => `${text.slice(0, -1)},}`,
    "leading-comma": (d, text) => `{,${text.slice(1)}`,
    "missing-brace": (d, text) => text.slice(0, -1),
    "block-comment": (d, text) => `${text.slice(0, -1)}/* admin */}`,
    "line-comment": (d, text) => `${text}// admin`,
    "single-quotes": (d, text) => text.replace('"iss"', "'iss'"),
    "unquoted-name": (d, text) => text.replace('"iss"', "iss"),
    "missing-colon": (d, text) => text.replace('"iss":', '"iss" '),
    cut: (d, text) => text.slice(0, text.length / 2),
  },
  (d, change) => d.token({ payload: change(d, json(d.claims)) }),
);

// In the string of one claim that nobody looks at.
const BYTES = {
  "invalid-utf-8": [0xff],
  "overlong-utf-8": [0xc0, 0xaf],
  "cut-utf-8": [0xe2, 0x82],
  "surrogate-utf-8": [0xed, 0xa0, 0x80],
  "beyond-unicode": [0xf4, 0x90, 0x80, 0x80],
  "control-character": [0x01],
  newline: [0x0a],
  nul: [0x00],
  delete: [0x7f],
  bom: [0xef, 0xbb, 0xbf],
};
const spliced = (text, bytes) => {
  const [before, after] = text.split("@@");
  return Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
};
const hint = { after: '"hint":"a@@b"' };
family("payload-string", BYTES, (d, bytes) => d.token({ payload: spliced(json(d.claims, hint), bytes) }));
family("header-string", BYTES, (d, bytes) => d.token({ headerText: spliced(json(d.header, hint), bytes) }));

const nested = (levels, [open, shut]) => open.repeat(levels) + (open === "[" ? "" : "1") + shut.repeat(levels);
const TEXTS = {
  nan: "NaN",
  infinity: "Infinity",
  "minus-infinity": "-Infinity",
  undefined: "undefined",
  "leading-zero": "007",
  "leading-plus": "+1",
  "leading-dot": ".5",
  "trailing-dot": "1.",
  hex: "0x10",
  "1e400": "1e400",
  "hundred-digits": "9".repeat(100),
  "five-thousand-digits": "9".repeat(5000),
  "lone-high-surrogate": '"\\ud800"',
  "lone-low-surrogate": '"\\udc00x"',
  "swapped-surrogates": '"\\udc00\\ud800"',
  "pair-of-surrogates": '"\\ud83e\\udd80"',
  "escaped-nul": '"\\u0000"',
  "bad-escape": '"\\x41"',
  "short-escape": '"\\u00"',
  "escaped-slash": '"\\/"',
  "upper-case-true": "TRUE",
  python: "None",
  "deep-array": nested(200, "[]"),
  "deep-object": nested(200, ['{"a":', "}"]),
  "deeper-array": nested(3000, "[]"),
  "16-kilobytes": JSON.stringify("a".repeat(16_384)),
};
family("claim", TEXTS, (d, text) => withClaim(`"hint":${text}`)(d));
kind("claim-proto", withClaim('"__proto__":{"sub":"admin","scope":"admin"}'));
kind("claim-constructor", withClaim('"constructor":{"prototype":{"admin":true}}'));
kind("claim-empty-name", withClaim('"":1'));
kind("claim-many", withClaim(Array.from({ length: 500 }, (_, n) => `"c${n}":${n}`).join(",")));

// The text of the header.

family(
  "header",
  {
    array: (text) => `[${text}]`,
    string: (text) => JSON.stringify(text),
    number: () => "7",
    null: () => "null",
    "empty-object": () => "{}",
    "empty-text": () => "",
    "surrounding-whitespace": (text) => ` \r\n\t${text}\n`,
    bom: (text) => `\ufeff${text}`,
    "utf-16": (text) => Buffer.from(text, "utf16le"),
    "trailing-text": (text) => `${text}x`,
    "trailing-nul": (text) => `${text}\0`,
    "second-object": (text) => `${text}{}`,
    "trailing-comma": (text) => `${text.slice(0, -1)},}`,
    comment: (text) => `${text.slice(0, -1)}/**/}`,
    nan: (text) => `${text.slice(0, -1)},"hint":NaN}`,
    "lone-surrogate": (text) => `${text.slice(0, -1)},"hint":"\\ud800"}`,
    "deep-array": (text) => `${text.slice(0, -1)},"hint":${nested(200, "[]")}}`,
    "8-kilobytes": (text) => `${text.slice(0, -1)},"hint":"${"a".repeat(8192)}"}`,
    proto: (text) => `${text.slice(0, -1)},"__proto__":{"alg":"none"}}`,
  },
  (d, change) => d.token({ headerText: change(json(d.header)) }),
);

// Signatures.

form("signature-of-another", ({ header, body }, d) => {
  const another = new Draft(d.alg).parts();
  return `${header}.${body}.${another.signature}`;
});
signatureBytes("signature-of-payload-only", (_b, d, input) =>
  signature(d.alg, d.signWith, Buffer.from(input.toString().split(".")[1])),
);
signatureBytes("signature-of-decoded", (_b, d) =>
  signature(d.alg, d.signWith, Buffer.from(`${json(d.header)}.${json(d.claims)}`)),
);
signatureBytes("signature-zeros", (bytes) => Buffer.alloc(bytes.length));
signatureBytes("signature-ones", (bytes) => Buffer.alloc(bytes.length, 255));
signatureBytes("signature-half", (bytes) => halves(bytes)[0]);
signatureBytes("signature-twice", (bytes) => Buffer.concat([bytes, bytes]));
signatureBytes("signature-byte-more", (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]));
signatureBytes("signature-byte-less", (bytes) => bytes.subarray(0, -1));
signatureBytes("signature-byte-before", (bytes) => Buffer.concat([Buffer.alloc(1), bytes]));
signatureBytes("signature-reversed", (bytes) => Buffer.from(bytes).reverse());
signatureBytes("signature-hex", (bytes) => Buffer.from(bytes.toString("hex")));

const component = (name, change, algorithms = ECDSA) =>
  signatureBytes(`ecdsa-${name}`, (bytes, d) => {
    const [r, s] = halves(bytes).map(toInteger);
    return Buffer.concat(change(r, s, ORDER[d.alg]).map((integer) => toBytes(integer, bytes.length / 2)));
  }, algorithms);
component("r-0-s-0", () => [0n, 0n]);
component("r-0", (_r, s) => [0n, s]);
component("s-0", (r) => [r, 0n]);
component("r-1-s-1", () => [1n, 1n]);
component("r-n-s-n", (_r, _s, n) => [n, n]);
component("swapped", (r, s) => [s, r]);
// A signature that verifies: ECDSA in JWS has no rule that `s` is the lower one.
component("high-s-valid", (r, s, n) => [r, s > n / 2n ? s : n - s]);
component("low-s-valid", (r, s, n) => [r, s < n / 2n ? s : n - s]);
// The field of P-521 is wide enough for it.
component("r-plus-n", (r, s, n) => [r + n, s], ["ES512"]);
component("s-plus-n", (r, s, n) => [r, s + n], ["ES512"]);
kind("ecdsa-der", (d) => d.token({ signing: { dsaEncoding: "der" } }), ECDSA);
signatureBytes("ecdsa-longer-halves", (bytes) => {
  const [r, s] = halves(bytes);
  return Buffer.concat([Buffer.alloc(1), r, Buffer.alloc(1), s]);
}, ECDSA);

signatureBytes("eddsa-s-plus-l", (bytes) => {
  const [point, s] = halves(bytes);
  const larger = toInteger(Buffer.from(s).reverse()) + ORDER.EdDSA;
  return Buffer.concat([point, toBytes(larger, 32).reverse()]);
}, ["EdDSA"]);
signatureBytes("eddsa-neutral-point", () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]), ["EdDSA"]);

// EMSA-PKCS1-v1_5 with a DigestInfo that is not the one of the standard.
const DIGEST_INFO = {
  RS256: "3031300d060960864801650304020105000420",
  RS384: "3041300d060960864801650304020205000430",
  RS512: "3051300d060960864801650304020305000440",
};
const pkcs1 = (name, change) =>
  signatureBytes(`rsa-${name}`, (_b, d, input) => {
    const digest = createHash(hashOf(d.alg)).update(input).digest();
    const block = change(Buffer.from(DIGEST_INFO[d.alg], "hex"), digest);
    return privateEncrypt({ key: d.signWith, padding: constants.RSA_PKCS1_PADDING }, block);
  }, PKCS1);
pkcs1("digest-info-standard-valid", (info, digest) => Buffer.concat([info, digest]));
pkcs1("digest-info-missing", (_info, digest) => digest);
pkcs1("digest-info-trailing", (info, digest) => Buffer.concat([info, digest, Buffer.alloc(8)]));
pkcs1("digest-info-without-null", (info, digest) => {
  const short = Buffer.concat([info.subarray(0, 15), info.subarray(17), digest]);
  short[1] -= 2;
  short[3] -= 2;
  return short;
});
signatureBytes("rsa-plus-n", (bytes, d) => {
  const n = toInteger(Buffer.from(d.key.jwk.n, "base64url"));
  const larger = toInteger(bytes) + n;
  return larger >> 2048n ? toBytes(larger, 257) : toBytes(larger, 256);
}, RSA);
signatureBytes("rsa-one", () => toBytes(1n, 256), RSA);
family(
  "ps256-salt",
  { 0: 0, 20: 20, maximum: constants.RSA_PSS_SALTLEN_MAX_SIGN },
  (d, saltLength) => d.token({ signing: { saltLength } }),
  ["PS256"],
);

// Encrypted, which is no signed token.

kind("jwe-to-public-key", (d) =>
  new CompactEncrypt(Buffer.from(json(d.claims)))
    .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM" })
    .encrypt(createPublicKey(d.key.private)),
RSA);
kind("jwe-direct", (d) =>
  new CompactEncrypt(Buffer.from(json(d.claims)))
    .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
    .encrypt(d.key.secret.subarray(0, 32)),
["HS256"]);
kind("jwe-nested", (d) =>
  new CompactEncrypt(Buffer.from(d.token()))
    .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT" })
    .encrypt(createPublicKey(d.key.private)),
RSA);

// --- the run ---------------------------------------------------------------------------

const names = Object.keys(kinds);
if (run.kinds) {
  console.log(names.join("\n"));
  process.exit(0);
}
if (!run.out) throw new Error("give --out DIR");

async function line() {
  if (chance(1 / 3)) {
    const alg = pick(ALGORITHMS);
    const key = alg.toLowerCase();
    return { kind: `valid-${key}`, key, alg, token: new Draft(alg).token() };
  }
  const name = pick(names);
  const alg = pick(kinds[name].algorithms);
  return { kind: name, key: alg.toLowerCase(), alg, token: await kinds[name].make(new Draft(alg)) };
}

const lines = [];
for (let n = 0; n < Number(run.count); n += 1) lines.push(JSON.stringify(await line()));

const described = Object.entries(ours).map(([alg, { secret, pem, jwk }]) => [
  alg.toLowerCase(),
  secret ? { alg, secret: secret.toString("base64url") } : { alg, jwk, pem },
]);
mkdirSync(run.out, { recursive: true });
writeFileSync(
  join(run.out, "keys.json"),
  JSON.stringify({
    issuer: ISSUER,
    audience: AUDIENCE,
    leeway: LEEWAY,
    jwks: { keys: ASYMMETRIC.map((alg) => ours[alg].jwk) },
    keys: Object.fromEntries(described),
  }, null, 2),
);
writeFileSync(join(run.out, "tokens.jsonl"), `${lines.join("\n")}\n`);
