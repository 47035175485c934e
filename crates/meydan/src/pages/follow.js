// What links in letters lead to. The token stands behind the #, so that no proxy and no Referer
// header ever sees it. Nothing is sent before the button is pressed: programs that look for viruses
// open links, too.

import { call } from "./calls.js";
import { enter } from "./enter.js";
import { at, sentence, when } from "./forms.js";
import { t } from "./language.js";

const token = location.hash.slice(1);

/** What pressing the button does on each page. */
const ACTS = {
  "/auth/confirm": ({ username }) => enter("/v1/auth/registrations/confirm", { token, ...(username && { username }) }),
  "/auth/magic": () => enter("/v1/auth/magic-links/consume", { token }),
  "/auth/reset": async ({ new_password }) => {
    await call("POST", "/v1/auth/password-resets/confirm", { token, new_password });
    location.replace("/auth/login#said=reset");
  },
};

/** The link is of no use any more; where to get another. */
function end(text) {
  at("form").hidden = true;
  at("over").textContent = text;
  at("next").hidden = false;
}

when(at("form"), async (values) => {
  try {
    await ACTS[location.pathname](values);
  } catch (error) {
    if (error.code === "TOKEN_INVALID" || error.code === "MFA_TOKEN_INVALID") return end(sentence(error));
    // Only the page that makes an account has it.
    if (error.code === "USERNAME_TAKEN") at("more").hidden = false;
    throw error;
  }
  return null;
});

if (!token) end(t("This page needs the whole link of the letter."));
