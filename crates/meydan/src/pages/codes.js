// Codes that are sent: asking for one, and the field it comes back in.

import { call } from "./calls.js";
import { make, when } from "./forms.js";
import { locale, t } from "./language.js";

/** The field of a code, with a button to have it sent again. It is in the page only while a code is
 * awaited. */
export class CodeField {
  #handle = null;
  #timer = null;

  /** `purpose` is what the codes are for. */
  constructor(purpose) {
    this.purpose = purpose;
    this.input = make("input", {
      id: `code-${purpose}`, name: "code", inputmode: "numeric", autocomplete: "one-time-code", required: true, maxlength: 12,
    });
    this.sent = make("p");
    this.again = make("button", { type: "button", class: "plain" }, t("Send again"));
    this.element = make("section", { class: "bare" }, this.sent, make("label", { for: this.input.id }, t("Code")), this.input, this.again);
    when(this.again, async () => {
      if (this.again.getAttribute("aria-disabled") === "true") return null;
      await this.send(this.to);
      return t("A new code was sent.");
    });
  }

  /** Sends a code to a number or an address. */
  async send(to) {
    const where = to.includes("@") ? { channel: "email", email: to } : { channel: "sms", phone_number: to };
    const answer = await call("POST", "/v1/auth/otp", { ...where, purpose: this.purpose, locale });
    this.to = to;
    this.#handle = answer.handle;
    this.sent.textContent = t("If the address is right, a code is on its way to {}. It is good for {} minutes.", to, answer.expires_in / 60);
    this.#rest(answer.resend_after_seconds);
  }

  /** What came back, for the server. */
  answer() {
    return { handle: this.#handle, code: this.input.value.trim() };
  }

  /** Forgets what was sent. */
  reset() {
    clearInterval(this.#timer);
    this.#handle = null;
    this.input.value = "";
    this.element.remove();
  }

  get isSent() {
    return this.#handle !== null;
  }

  #rest(seconds) {
    clearInterval(this.#timer);
    const end = Date.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      this.again.setAttribute("aria-disabled", left > 0);
      this.again.textContent = left > 0 ? t("Send again in {} s", left) : t("Send again");
      if (left <= 0) clearInterval(this.#timer);
    };
    tick();
    this.#timer = setInterval(tick, 1000);
  }
}

/** A form with one field `to` that becomes one for the code that was sent there; `use` takes what
 * came back. */
export function codeForm(form, purpose, use) {
  const field = new CodeField(purpose);
  const [submit] = form.querySelectorAll("button[type=submit]");
  const words = submit.textContent;
  const other = make("button", { type: "button", class: "plain" }, t("Another address"));
  const first = form.elements.to.closest("div");
  const restart = () => {
    field.reset();
    other.remove();
    first.hidden = false;
    submit.textContent = words;
    form.elements.to.focus();
  };
  when(other, async () => restart());
  when(form, async ({ to }) => {
    if (field.isSent) {
      const said = await use(field.answer());
      form.reset();
      restart();
      return said;
    }
    await field.send(to);
    first.hidden = true;
    first.after(field.element);
    submit.textContent = t("Continue");
    submit.after(other);
    field.input.focus();
    return null;
  });
}
