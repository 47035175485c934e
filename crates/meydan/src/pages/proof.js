// A dialog that asks who somebody is: for a second factor, or once more before a sensitive act.

import { Cancelled, make, when } from "./forms.js";
import { CodeField } from "./codes.js";
import { key, t } from "./language.js";
import { usePasskey } from "./passkeys.js";

/** What each way to prove it is called, and the field it needs. */
const WAYS = {
  password: { label: key("Password"), name: "password", field: { type: "password", autocomplete: "current-password" } },
  totp: { label: key("Code of your authenticator app"), name: "code", field: { inputmode: "numeric", autocomplete: "one-time-code", maxlength: 12 } },
  recovery: { label: key("Recovery code"), name: "code", field: { autocomplete: "off", autocapitalize: "characters", spellcheck: "false" } },
  pin: { label: key("PIN of your number"), name: "code", field: { type: "password", inputmode: "numeric", autocomplete: "off" } },
  passkey: { label: key("Passkey") },
};

/** Asks for one proof and sends it, until it is right; gives what `send` gave.
 *
 * `ways` names methods; one by a code that is sent is `{ otp: address }`. A refusal whose code is
 * among `ends` closes the dialog, every other one is shown in it. */
export function prove({ title, why, ways, ends, send }) {
  const form = make("form");
  const dialog = make("dialog", { "aria-labelledby": "proof-title", "aria-describedby": "proof-why" },
    make("h2", { id: "proof-title", tabindex: "-1" }, title), make("p", { id: "proof-why" }, why), form);
  document.body.append(dialog);
  const step = make("div");
  let taking = steps(ways[0], step);
  if (ways.length > 1) form.append(chooser(ways, (way) => { taking = steps(way, step); }));
  const cancel = make("button", { type: "button", class: "plain" }, t("Cancel"));
  form.append(step, make("div", { class: "row" }, make("button", { type: "submit" }, t("Continue")), cancel));
  return new Promise((resolve, reject) => {
    when(cancel, async () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      // Unless it is decided by now.
      reject(new Cancelled());
    });
    when(form, async () => {
      const proof = await taking();
      if (!proof) return;
      try {
        resolve(await send(proof));
      } catch (error) {
        if (!ends.includes(error.code)) throw error;
        reject(error);
      }
      dialog.close();
    });
    dialog.showModal();
    step.querySelector("input")?.focus();
  });
}

function chooser(ways, choose) {
  const radios = ways.map((way, index) => {
    const radio = make("input", { type: "radio", name: "way", id: `way-${index}`, checked: index === 0 });
    radio.addEventListener("change", () => choose(way));
    const label = way.otp ? t("A code to {}", way.otp) : t(WAYS[way].label);
    return make("label", { class: "choice" }, radio, label);
  });
  return make("fieldset", {}, make("legend", {}, t("How")), ...radios);
}

/** Fills `step` with what a way asks for; gives what reads the proof, which is nothing as long as a
 * further step is needed. */
function steps(way, step) {
  if (way.otp) return codeSteps(way.otp, step);
  if (way === "passkey") {
    step.replaceChildren(make("p", {}, t("Your browser asks for it when you continue.")));
    return async () => ({ method: way, ...(await usePasskey()) });
  }
  const { label, name, field } = WAYS[way];
  const input = make("input", { id: `proof-${name}`, name, required: true, ...field });
  step.replaceChildren(make("label", { for: input.id }, t(label)), input);
  return async () => ({ method: way, [name]: name === "code" ? input.value.trim() : input.value });
}

function codeSteps(to, step) {
  const field = new CodeField("step_up");
  step.replaceChildren(make("p", {}, t("Continue, and a code is sent to {}.", to)));
  return async () => {
    if (field.isSent) return { method: "otp", ...field.answer() };
    await field.send(to);
    step.replaceChildren(field.element);
    field.input.focus();
    return null;
  };
}
