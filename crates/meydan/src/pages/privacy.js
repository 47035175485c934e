// Who may see what, what was agreed to, a copy of everything, and the end of the account.

import { at, complain, make, tell, when } from "./forms.js";
import { key, moment, readable, t } from "./language.js";
import { rows } from "./rows.js";
import { act, onChange, refresh } from "./session.js";

/** The switches, as questions. */
const SWITCHES = {
  who_may_write: key("Who may begin to write to you"),
  find_by_phone: key("Who finds you by your number"),
  phone: key("Who sees your number"),
  last_seen: key("Who sees when you were here last"),
  presence: key("Who sees whether you are here"),
  receipts: key("Who sees what you have read"),
};
const WHOM = { everyone: key("Everyone"), contacts: key("Contacts"), nobody: key("Nobody") };
/** Between two looks at a copy that is being made. */
const PAUSE_MS = 3000;

onChange(async (me) => {
  at("erasure").hidden = Boolean(me.erase_at);
  await Promise.all([showSwitches(), showConsents(), showExports()]);
});

async function showSwitches() {
  const switches = await act("GET", "/v1/users/@me/privacy");
  at("switches").replaceChildren(...Object.entries(SWITCHES).map(([name, question]) => {
    const options = Object.entries(WHOM).map(([value, word]) => make("option", { value, selected: switches[name] === value }, t(word)));
    const select = make("select", { id: `switch-${name}` }, ...options);
    select.addEventListener("change", () => change(name, select));
    return make("div", {}, make("label", { for: select.id }, t(question)), select);
  }));
}

async function change(name, select) {
  const section = at("privacy");
  try {
    await act("PATCH", "/v1/users/@me/privacy", { [name]: select.value });
    tell(section, `${t(SWITCHES[name])}: ${t(WHOM[select.value])}`);
  } catch (error) {
    await showSwitches();
    complain(section, error);
  }
}

async function showConsents() {
  const [texts, given] = await Promise.all([act("GET", "/v1/consent-texts"), act("GET", "/v1/users/@me/consents")]);
  at("consents").hidden = texts.items.length === 0;
  rows(at("consents-list"), texts.items.map((text) => {
    const said = given.items.find(({ purpose }) => purpose === text.purpose);
    const granted = Boolean(said?.granted && !said.outdated);
    return {
      text: t("{}, version {}", text.purpose, text.version),
      note: granted ? t("agreed {}", moment(said.granted_at)) : t("not agreed to"),
      more: [make("details", {}, make("summary", {}, t("Read it")), make("pre", {}, readable(text)))],
      button: granted ? t("Withdraw") : t("Agree"),
      work: async () => {
        const body = granted ? { granted: false } : { granted: true, text_version: text.version };
        await act("PUT", `/v1/users/@me/consents/${text.purpose}`, body);
        await showConsents();
        return granted ? t("Withdrawn.") : t("Agreed.");
      },
    };
  }));
}

/** What each state of a copy is called. */
const STATES = { waiting: key("waits"), running: key("is being made"), ready: key("ready"), failed: key("could not be made"), expired: key("over") };
let looking = null;

async function showExports() {
  clearTimeout(looking);
  const { items } = await act("GET", "/v1/users/@me/exports");
  rows(at("exports-list"), items.map((copy) => ({
    text: t("Copy of {}", moment(copy.requested_at)),
    note: copy.url ? t("ready, until {}", moment(copy.url_expires_at)) : t(STATES[copy.state]),
    more: copy.url ? [make("a", { href: new URL(copy.url).pathname, download: "meydan.zip" }, t("Fetch it"))] : [],
  })));
  const making = items.some(({ state }) => state === "waiting" || state === "running");
  at("export").hidden = making;
  if (making) looking = setTimeout(() => showExports().catch(() => {}), PAUSE_MS);
}

when(at("export"), async () => {
  await act("POST", "/v1/users/@me/exports");
  await showExports();
  return t("It is being made. You can stay here or come back later.");
});

when(at("erasure-form"), async ({ confirm }, form) => {
  await act("POST", "/v1/users/@me/erasure", { confirm });
  form.reset();
  await refresh();
  at("me").scrollIntoView();
  at("stay").focus();
});
