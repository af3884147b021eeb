// What a person does with a link to an identity provider: signs in and comes back.
//
//     node sign_in.mjs URL           prints where the provider sends the browser
//     node sign_in.mjs --visit URL   goes there too, once somebody listens, and prints nothing

import { setTimeout } from "node:timers/promises";

import { follow } from "./browser.mjs";

const TRIES = 200;
const PAUSE = 50;

/** The client may begin to listen after it has opened the browser. */
async function visit(url) {
  for (let tried = 1; ; tried += 1) {
    try {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${url.pathname}: ${response.status}`);
      return;
    } catch (error) {
      if (tried === TRIES || !error.cause) throw error;
      await setTimeout(PAUSE);
    }
  }
}

const [link, flag] = process.argv.slice(2).reverse();
const callback = await follow(new URL(link));
if (flag === "--visit") {
  await visit(callback);
} else {
  console.log(callback.href);
}
