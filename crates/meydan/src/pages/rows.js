// Lists of things with a button each.

import { make, when } from "./forms.js";
import { t } from "./language.js";

/** Shows a list anew; each row is `{ text, note?, button?, work?, more? }`. */
export function rows(list, items, none) {
  const shown = items.map(({ text, note, button, work, more = [] }) => {
    const words = make("span", {}, make("strong", {}, text), ...(note ? [make("br"), make("small", {}, note)] : []));
    const item = make("li", {}, words, ...more);
    if (button) item.append(make("button", { type: "button", class: "plain", "aria-label": `${button}: ${text}` }, button));
    return item;
  });
  list.replaceChildren(...shown);
  if (items.length === 0 && none) list.append(make("li", {}, none));
  // In the page only now: a button speaks in the section it stands in.
  items.forEach(({ work }, index) => {
    const button = shown[index].querySelector(":scope > button");
    if (button) when(button, work);
  });
}

/** When something was used last. */
export function lastUse(text, moment) {
  return text ? t("last used {}", moment(text)) : t("never used");
}
