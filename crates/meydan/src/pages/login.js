// Logging in: by password here, in other ways from here.

import { begin, call, Refusal } from "./calls.js";
import { enter, second } from "./enter.js";
import { at, complain, make, tell, when } from "./forms.js";
import { key, t } from "./language.js";
import { hasPasskeys, nameless, usePasskey } from "./passkeys.js";

/** What the page before, or the way back from a provider, wants said. */
const SAID = { out: key("Logged out."), ended: key("This login was ended. Log in again."), reset: key("Your new password is saved. Log in with it.") };
/** How people write the names of providers. */
const NAMES = { google: "Google", facebook: "Facebook", x: "X" };

when(at("password-form"), (values) => enter("/v1/auth/login", values));
when(at("passkey"), async () => enter("/v1/auth/passkeys/login", await usePasskey()));

/** Takes what stands behind the `#` off the address, so that it is not seen or used again. */
function message() {
  const found = new URLSearchParams(location.hash.slice(1));
  if (location.hash) history.replaceState(null, "", location.pathname);
  return found;
}

async function offer() {
  const offered = await call("GET", "/v1/auth/methods");
  at("passkey").hidden = !offered.passkeys || !hasPasskeys;
  at("code").hidden = offered.codes.length === 0;
  at("link").hidden = at("forgot").hidden = !offered.links;
  at("register").hidden = offered.registration === "closed";
  if (offered.passkeys && nameless) {
    const link = at("named-page").querySelector("a");
    link.href = link.textContent = `${location.protocol}//localhost:${location.port}${location.pathname}`;
    at("named-page").hidden = false;
  }
  for (const provider of offered.providers) {
    const button = make("button", { type: "button", class: "plain" }, t("Continue with {}", NAMES[provider] || provider));
    at("ways").append(button);
    when(button, () => visit(provider));
  }
  at("others").hidden = !at("ways").querySelector(":scope > :not([hidden])") && at("named-page").hidden;
}

/** Sends the window to a provider; a refusal is shown here. */
async function visit(provider) {
  const path = `/v1/auth/oauth/${encodeURIComponent(provider)}?session=cookie&return_to=/auth/login`;
  await call("GET", path);
  location.assign(path);
}

async function open() {
  const form = at("password-form");
  const said = message();
  if (SAID[said.get("said")]) tell(form, t(SAID[said.get("said")]));
  if (said.has("error")) complain(form, new Refusal({ code: said.get("error") }));
  try {
    await offer();
    if (said.has("mfa_token")) {
      await second({ mfa_token: said.get("mfa_token"), methods: said.get("methods").split(",") });
      location.replace("/account");
      return;
    }
  } catch (error) {
    complain(form, error);
  }
  // Whoever is logged in has nothing to do here.
  await begin().then(() => location.replace("/account"), () => {});
}
await open();
