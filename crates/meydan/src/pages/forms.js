// Forms and buttons: each does one thing at a time and says how it ended, beside the field it is
// about or in its own place.

import { Refusal } from "./calls.js";
import { key, locale, t } from "./language.js";

/** Somebody thought better of it: nothing to be said. */
export class Cancelled extends Error {}

export const at = (id) => document.getElementById(id);

/** A new element; `true` and `false` are attributes without a value. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "boolean") element.toggleAttribute(key, value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Does `work` when a form is sent or a button pressed. What it returns is said. */
export function when(element, work) {
  const place = placeOf(element);
  element.addEventListener(element.matches("form") ? "submit" : "click", async (event) => {
    event.preventDefault();
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    clear(place);
    try {
      const said = await work(values(element), element);
      if (said) tell(place, said);
    } catch (error) {
      complain(place, error);
    } finally {
      element.removeAttribute("aria-busy");
      // What was pressed may be gone now; whoever uses the keyboard goes on from the heading.
      if (document.activeElement === document.body) place.closest("section")?.querySelector("h2, h3")?.focus();
    }
  });
}

/** Says that something went well. */
export function tell(place, text) {
  line(place, "said", "status").textContent = text;
}

/** Says what went wrong. */
export function complain(place, error) {
  if (error instanceof Cancelled) return;
  if (!(error instanceof Refusal) && !(error instanceof DOMException)) console.error(error);
  const rest = place.matches("form") ? byField(place, error) : [sentence(error)];
  line(place, "error", "alert").textContent = rest.join(" ");
}

/** Where a form or button says how it ended: the form itself, or the section around it. */
function placeOf(element) {
  const place = element.matches("form") ? element : element.closest("section") || document.querySelector("main");
  // Live regions are heard only when they are there before their text.
  line(place, "said", "status");
  line(place, "error", "alert");
  return place;
}

function line(place, name, role) {
  const found = [...place.children].find((child) => child.matches(`p.${name}[role]`));
  if (found) return found;
  const made = make("p", { class: name, role });
  // In a form above its buttons, elsewhere below the heading.
  const heading = place.querySelector(":scope > h1, :scope > h2, :scope > h3");
  if (heading) heading.after(made);
  else place.insertBefore(made, place.querySelector(":scope > .row"));
  return made;
}

function clear(place) {
  line(place, "said", "status").textContent = "";
  line(place, "error", "alert").textContent = "";
  for (const error of place.querySelectorAll("p.error[id]")) error.remove();
  for (const field of place.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    const hint = field.dataset.hint;
    if (hint) field.setAttribute("aria-describedby", hint);
    else field.removeAttribute("aria-describedby");
  }
}

function values(element) {
  if (!element.matches("form")) return {};
  const found = {};
  for (const field of element.elements) {
    if (!field.name || (field.type === "radio" && !field.checked)) continue;
    if (field.type === "checkbox") found[field.name] = field.checked;
    else found[field.name] = field.type === "password" ? field.value : field.value.trim();
  }
  return found;
}

/** Puts what an error says beside the fields of a form; gives what belongs to none. */
function byField(form, error) {
  const placed = [];
  const rest = [];
  const put = (names, text) => {
    const field = names.map((name) => form.elements[name]).find((field) => field && !field.closest("[hidden]"));
    if (!field) return rest.push(text);
    mark(field, text);
    placed.push(field);
  };
  const fields = error.problem?.errors || [];
  for (const field of fields) put([field.pointer.replace(/^\//, "")], fieldSentence(field));
  if (fields.length === 0) put(FIELDS_OF[error.code] || [], sentence(error));
  placed[0]?.focus();
  return rest;
}

function mark(field, text) {
  const id = `${field.id}-error`;
  field.after(make("p", { class: "error", id }, text));
  field.setAttribute("aria-invalid", "true");
  field.dataset.hint ||= field.getAttribute("aria-describedby") || "";
  field.setAttribute("aria-describedby", `${id} ${field.dataset.hint}`.trim());
}

/** Names of fields that a refusal can be about. */
const FIELDS_OF = {
  INVALID_CREDENTIALS: ["password"],
  PASSWORD_WRONG: ["password"],
  EMAIL_INVALID: ["email", "to"],
  EMAIL_TAKEN: ["email", "to"],
  PHONE_INVALID: ["to"],
  COUNTRY_NOT_ALLOWED: ["to"],
  CONTACT_TAKEN: ["to"],
  USERNAME_TAKEN: ["username"],
  PASSWORD_TOO_WEAK: ["new_password", "password"],
  OTP_INVALID: ["code"],
  TOTP_INVALID: ["code"],
  SECOND_FACTOR_INVALID: ["code"],
};

/** Where the server's words are for programs, or a person needs other ones. */
const SENTENCES = {
  TOKEN_INVALID: key("This link was used before, is too old, or a newer one was sent. Ask for another."),
  REGISTRATION_CLOSED: key("This server makes no accounts by itself. Ask whoever runs it."),
  ADMIN_EXISTS: key("There is an administrator already."),
  STALE: key("This was changed meanwhile, perhaps in another window. Look at it again."),
  INVALID_CREDENTIALS: key("No account fits this name and password."),
  PASSWORD_WRONG: key("This is not your password."),
  OAUTH_FAILED: key("The other site did not confirm the login. Try again."),
  ACCOUNT_LINK_REQUIRED: key("The address there belongs to an account here. Log in to it, then link the other login in your account."),
  CSRF_FAILED: key("Reload this page and try again."),
  UNAUTHENTICATED: key("Log in first."),
  ERASURE_BLOCKED: key("Something has to be settled first:"),
};

const REASONS = {
  TOO_SHORT: key("At least 8 characters."),
  TOO_LONG: key("This is too long."),
  COMMON: key("Many people use this one."),
  BREACHED: key("It is in a list of stolen passwords."),
  EASY_TO_GUESS: key("It is too easy to guess. A few unusual words work well."),
  last_superadmin: key("You are the last administrator of this server."),
  owns_community: key("You own communities; hand them over or delete them."),
};

const FIELD_SENTENCES = {
  BAD_FORMAT: key("2 to 32 small letters, digits, dots and underscores."),
  BLANK: key("This may not be empty."),
  TOO_LONG: key("This is too long."),
  CONTROL_CHARACTER: key("This holds characters that cannot be shown."),
  MISMATCH: key("This is not your user name."),
  EMPTY: key("Choose at least one."),
  TOO_SIMPLE: key("This PIN is too easy to guess."),
  INVALID: key("6 to 20 digits."),
};

/** What an error says to a person. */
export function sentence(error) {
  if (error instanceof DOMException) return t("The browser did not use a passkey.");
  if (!(error instanceof Refusal)) return t("It did not work. Try again.");
  if (error.code === "RATE_LIMITED" || error.code === "BUSY") return waitSentence(Number(error.wait) || 1);
  const known = SENTENCES[error.code];
  const words = known ? t(known) : polished(error.message);
  const reasons = (error.problem.reasons || []).filter((reason) => REASONS[reason]);
  const why = reasons.map((reason) => t(REASONS[reason])).join(" ");
  if (error.code === "PASSWORD_TOO_WEAK") return why || t(REASONS.EASY_TO_GUESS);
  return [words, why].filter(Boolean).join(" ");
}

function waitSentence(seconds) {
  if (seconds < 90) return t("Too many attempts. Try again in {} seconds.", seconds);
  return t("Too many attempts. Try again in {} minutes.", Math.ceil(seconds / 60));
}

function fieldSentence(field) {
  const known = FIELD_SENTENCES[field.code];
  return known ? t(known) : polished(field.detail);
}

/** The server's words begin small and have no full stop. */
function polished(text) {
  const begun = text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
