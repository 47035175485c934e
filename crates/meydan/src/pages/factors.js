// What proves a login besides its first factor.

import { at, make, when } from "./forms.js";
import { moment, t } from "./language.js";
import { hasPasskeys, makePasskey, nameless } from "./passkeys.js";
import { lastUse, rows } from "./rows.js";
import { act, onChange, refresh } from "./session.js";

onChange(async (me, offered) => {
  const { totp, recovery_codes_left, registration_lock, passkeys } = me.factors;
  at("totp-state").textContent = totp ? t("It is on.") : t("It is off.");
  at("totp-begin").hidden = totp;
  at("totp-remove").hidden = !totp;
  at("totp-form").hidden = true;
  at("recovery").hidden = !totp && passkeys === 0;
  at("codes-left").textContent = recovery_codes_left;
  if (recovery_codes_left === 0) at("codes").hidden = true;
  at("lock").hidden = !me.phone_number && !registration_lock;
  at("lock-state").textContent = registration_lock ? t("It is on.") : t("It is off.");
  at("lock-remove").hidden = !registration_lock;
  await showPasskeys(offered);
});

async function showPasskeys(offered) {
  const { items } = await act("GET", "/v1/users/@me/passkeys");
  rows(at("passkeys-list"), items.map((key) => ({
    text: key.name,
    note: lastUse(key.last_used_at, moment),
    button: t("Remove"),
    work: async () => {
      await act("DELETE", `/v1/users/@me/passkeys/${key.id}`);
      await refresh();
      return t("Removed.");
    },
  })));
  at("passkey-form").hidden = !(offered.passkeys && hasPasskeys);
  at("no-passkeys").hidden = offered.passkeys && hasPasskeys;
  if (!offered.passkeys) at("no-passkeys").textContent = t("This server offers no passkeys.");
  else if (nameless) {
    const href = `${location.protocol}//localhost:${location.port}/account`;
    at("no-passkeys").replaceChildren(t("Browsers allow no passkeys at this address. Open this page here:"), " ", make("a", { href }, href));
  } else at("no-passkeys").textContent = t("This browser knows no passkeys.");
}

when(at("passkey-form"), async ({ name }, form) => {
  const made = await makePasskey(await act("POST", "/v1/users/@me/passkeys/options"));
  await act("POST", "/v1/users/@me/passkeys", { ...made, name });
  form.reset();
  await refresh();
  return t("Added.");
});

when(at("totp-begin"), async () => {
  const { secret, otpauth_uri, qr_svg } = await act("POST", "/v1/users/@me/totp");
  at("totp-secret").textContent = secret.replace(/(.{4})(?=.)/g, "$1 ");
  at("totp-link").href = otpauth_uri;
  const picture = new DOMParser().parseFromString(qr_svg, "image/svg+xml").documentElement;
  at("totp-picture").setAttribute("aria-label", t("QR code with the key"));
  at("totp-picture").replaceChildren(picture);
  at("totp-form").hidden = false;
  at("totp-begin").hidden = true;
  at("totp-code").focus();
});

when(at("totp-form"), async ({ code }, form) => {
  const { recovery_codes } = await act("PUT", "/v1/users/@me/totp", { code });
  form.reset();
  at("totp-secret").textContent = "";
  at("totp-link").removeAttribute("href");
  at("totp-picture").replaceChildren();
  await refresh();
  showCodes(recovery_codes);
});

when(at("totp-remove"), async () => {
  await act("DELETE", "/v1/users/@me/totp");
  await refresh();
  return t("Removed.");
});

when(at("codes-renew"), async () => {
  const { recovery_codes } = await act("POST", "/v1/users/@me/recovery-codes");
  await refresh();
  showCodes(recovery_codes);
});

function showCodes(codes) {
  at("codes-list").replaceChildren(...codes.map((code) => make("li", {}, make("code", {}, code))));
  at("codes").hidden = false;
  at("recovery").querySelector("h3").focus();
}

when(at("lock-form"), async ({ pin }, form) => {
  await act("PUT", "/v1/users/@me/registration-lock", { pin });
  form.reset();
  await refresh();
  return t("Saved.");
});

when(at("lock-remove"), async () => {
  await act("DELETE", "/v1/users/@me/registration-lock");
  await refresh();
  return t("Removed.");
});
