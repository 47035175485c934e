// The language of a page: Turkish where the browser asks for it, else English. The English text is
// the key of the Turkish one.

import { TURKISH } from "./words.js";

export const locale = navigator.language.toLowerCase().startsWith("tr") ? "tr" : "en";

/** The text in the language of the page; each `{}` in it stands for a value. */
export function t(text, ...values) {
  const words = (locale === "tr" && TURKISH[text]) || text;
  return values.reduce((filled, value) => filled.replace("{}", () => value), words);
}

/** Marks a text that is looked up later. */
export const key = (text) => text;

/** A day and time as people write it. */
export function moment(text) {
  return new Date(text).toLocaleString(locale, { dateStyle: "medium", timeStyle: "short" });
}

/** Of an answer in two languages, the one to read. */
export const readable = (texts) => texts[locale];

document.documentElement.lang = locale;
for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.textContent);
document.title = `${document.querySelector("h1").textContent} – Meydan`;
