// Name, addresses and password.

import { codeForm } from "./codes.js";
import { at, when } from "./forms.js";
import { t } from "./language.js";
import { act, onChange, refresh } from "./session.js";

let version = null;

onChange((me, offered) => {
  version = me.version;
  for (const name of ["display_name", "username", "about", "locale"]) at(name).value = me[name] ?? "";
  at("email").textContent = me.email || t("none");
  at("email-state").textContent = me.email && !me.email_verified ? t("(not confirmed yet)") : "";
  at("phone").textContent = me.phone_number || t("none");
  at("email-form").hidden = !offered.codes.includes("email");
  at("phone-form").hidden = !offered.codes.includes("sms");
  at("password-state").textContent = me.factors.password ? t("You have one.") : t("You have none: you log in in other ways.");
  at("password-username").value = me.username;
});

when(at("profile-form"), async ({ display_name, username, about, locale }) => {
  const change = { display_name, username, about: about || null, locale };
  try {
    await act("PATCH", "/v1/users/@me", change, { "if-match": `"${version}"` });
  } finally {
    // What somebody else changed meanwhile is worth seeing, too.
    await refresh();
  }
  return t("Saved.");
});

codeForm(at("email-form"), "verify_contact", ({ handle, code }) => replace("email", handle, code));
codeForm(at("phone-form"), "verify_contact", ({ handle, code }) => replace("phone", handle, code));

async function replace(what, handle, otp_code) {
  await act("PUT", `/v1/users/@me/${what}`, { handle, otp_code });
  await refresh();
  return t("Saved.");
}

when(at("password-form"), async ({ new_password, end_other_devices }, form) => {
  await act("PUT", "/v1/users/@me/password", { new_password, end_other_devices });
  form.reset();
  await refresh();
  return t("Saved.");
});
