// The first administrator. The token stands behind the #, so that no proxy and no Referer header
// ever sees it.

import { call } from "./calls.js";
import { SESSION } from "./enter.js";
import { at, when } from "./forms.js";
import { t } from "./language.js";

const token = location.hash.slice(1);

function end(text) {
  at("form").hidden = true;
  at("over").textContent = `${text} meydan admin setup-link`;
}

when(at("form"), async (values) => {
  try {
    await call("POST", "/v1/auth/setup", { token, ...values, ...SESSION });
  } catch (error) {
    if (error.code !== "TOKEN_INVALID") throw error;
    return end(t("This link was used before or is too old. For another, run:"));
  }
  location.replace("/account");
  return null;
});

if (!token) end(t("This page needs a one-time link. For one, run:"));
