// One's own account. Each part of the page is a module that shows what it is about.

import "./profile.js";
import "./factors.js";
import "./logins.js";
import "./privacy.js";

import { call, Refusal } from "./calls.js";
import { at, complain, when } from "./forms.js";
import { moment, t } from "./language.js";
import { act, leave, look, onChange, open, refresh } from "./session.js";

onChange((me) => {
  at("name").textContent = me.username;
  at("support").hidden = !me.impersonated_by;
  at("leaving").hidden = !me.erase_at;
  at("leaving-when").textContent = me.erase_at ? t("This account is erased on {}.", moment(me.erase_at)) : "";
});

when(at("logout"), async () => {
  await call("POST", "/v1/auth/logout", {});
  leave("out");
});

when(at("logout-all"), async () => {
  await call("POST", "/v1/auth/logout-all", {});
  leave("out");
});

when(at("stay"), async () => {
  await act("DELETE", "/v1/users/@me/erasure");
  await refresh();
  return t("Your account stays.");
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look().catch(() => {});
});

/** What a provider's way back wants said. */
function fromProvider() {
  const code = new URLSearchParams(location.hash.slice(1)).get("error");
  if (!code) return;
  history.replaceState(null, "", location.pathname);
  const taken = { code: "OTHER", detail: t("That login belongs to another account here.") };
  complain(at("providers"), new Refusal(code === "CONTACT_TAKEN" ? taken : { code }));
  at("providers").scrollIntoView();
}

try {
  await open();
  at("account").hidden = false;
  fromProvider();
} catch (error) {
  complain(document.querySelector("main"), error);
}
