// Where one is logged in, where one can log in, and keys of one's programs.

import { at, when } from "./forms.js";
import { moment, t } from "./language.js";
import { lastUse, rows } from "./rows.js";
import { act, onChange, refresh } from "./session.js";

onChange(async (me, offered) => {
  await Promise.all([showDevices(), showProviders(offered), showKeys()]);
});

async function showDevices() {
  const { items } = await act("GET", "/v1/users/@me/devices?limit=100");
  at("devices-end").hidden = items.length < 2;
  rows(at("devices-list"), items.map((device) => ({
    text: device.device_name || program(device.user_agent) || t("Unnamed device"),
    note: [device.current && t("this device"), device.kind === "support" && t("support"), device.ip, lastUse(device.last_seen_at, moment)].filter(Boolean).join(", "),
    button: device.current ? null : t("Log out"),
    work: async () => {
      await act("DELETE", `/v1/users/@me/devices/${device.id}`);
      await showDevices();
      return t("Logged out there.");
    },
  })));
}

/** What people call the program of a long `User-Agent`. */
function program(agent) {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(agent || "")?.[1];
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(agent || "")?.[1];
  if (!browser) return agent;
  return [{ Edg: "Edge", OPR: "Opera" }[browser] || browser, system].filter(Boolean).join(", ");
}

when(at("devices-end"), async () => {
  await act("DELETE", "/v1/users/@me/devices");
  await showDevices();
  return t("Logged out there.");
});

async function showProviders(offered) {
  const { items } = await act("GET", "/v1/users/@me/identities");
  const linked = items.map(({ provider, email_at_link, linked_at }) => ({
    text: provider,
    note: [email_at_link, t("since {}", moment(linked_at))].filter(Boolean).join(", "),
    button: t("Remove"),
    work: async () => {
      await act("DELETE", `/v1/users/@me/identities/${encodeURIComponent(provider)}`);
      await refresh();
      return t("Removed.");
    },
  }));
  const missing = offered.providers.filter((name) => !items.some(({ provider }) => provider === name));
  const open = missing.map((provider) => ({ text: provider, button: t("Link"), work: () => link(provider) }));
  at("providers").hidden = linked.length + open.length === 0;
  rows(at("providers-list"), [...linked, ...open]);
}

/** Goes to a provider and comes back with its login linked. */
async function link(provider) {
  const path = `/v1/auth/oauth/${encodeURIComponent(provider)}?link=true&return_to=/account`;
  // Refusals are shown here, and a proof is asked for; then the window goes there.
  await act("GET", path);
  location.assign(path);
}

async function showKeys() {
  const { items } = await act("GET", "/v1/users/@me/api-keys");
  rows(at("keys-list"), items.map((key) => ({
    text: key.name,
    note: [`${key.prefix}…`, key.scopes.join(" "), t("until {}", moment(key.expires_at)), lastUse(key.last_used_at, moment)].join(", "),
    button: t("Take back"),
    work: async () => {
      await act("DELETE", `/v1/users/@me/api-keys/${key.id}`);
      at("key-made").hidden = true;
      await showKeys();
      return t("Taken back.");
    },
  })));
}

when(at("key-form"), async (values, form) => {
  const scopes = [...form.querySelectorAll("#scopes input:checked")].map((box) => box.name);
  const wish = { name: values.name, scopes, expires_in_days: Number(values.expires_in_days) };
  const { key } = await act("POST", "/v1/users/@me/api-keys", wish);
  form.reset();
  await showKeys();
  at("key-text").textContent = key;
  at("key-made").hidden = false;
  return t("Made.");
});
