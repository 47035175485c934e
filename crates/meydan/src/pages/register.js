// Signing up. Where addresses are proved, a letter makes the account; elsewhere it is there at once.

import { call } from "./calls.js";
import { SESSION } from "./enter.js";
import { at, complain, make, when } from "./forms.js";
import { locale, readable, t } from "./language.js";

let texts = [];

function showTexts() {
  at("consents").hidden = texts.length === 0;
  for (const text of texts) {
    const box = make("input", { type: "checkbox", name: `agree-${text.purpose}`, id: `agree-${text.purpose}` });
    const label = make("label", { class: "choice" }, box, t("I agree: {}, version {}", text.purpose, text.version));
    const whole = make("details", {}, make("summary", {}, t("Read it")), make("pre", {}, readable(text)));
    at("consents").append(label, whole);
  }
}

when(at("form"), async (values, form) => {
  const { display_name, username, email, password } = values;
  const agreed = texts.filter((text) => values[`agree-${text.purpose}`]);
  const consents = agreed.map(({ purpose, version }) => ({ purpose, text_version: version }));
  const wish = { display_name, username, email, password, locale, consents, ...SESSION };
  const made = await call("POST", "/v1/auth/registrations", wish);
  if (made) return location.replace("/account");
  form.hidden = true;
  at("sent").textContent = t("A letter is on its way to {}. Open the link in it, within a day, and your account is made. Nothing came? Look among unwanted mail.", email);
  at("sent").focus();
  return null;
});

try {
  const [offered, known] = await Promise.all([call("GET", "/v1/auth/methods"), call("GET", "/v1/consent-texts")]);
  texts = known.items;
  showTexts();
  at("closed").hidden = offered.registration !== "closed";
  at("form").hidden = offered.registration === "closed";
} catch (error) {
  complain(document.querySelector("main"), error);
}
