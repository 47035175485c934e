// The token stands behind the #, so that no proxy and no Referer header ever sees it.
"use strict";
const token = location.hash.slice(1);
const form = document.getElementById("form");
const outcome = document.getElementById("outcome");

if (!token) {
  form.hidden = true;
  outcome.textContent =
    "This address needs a one-time link. Run: meydan admin setup-link";
}

// Where a code of the server belongs, and what it means to a person.
const FIELD_OF = {
  EMAIL_INVALID: "email",
  EMAIL_TAKEN: "email",
  USERNAME_TAKEN: "username",
  PASSWORD_TOO_WEAK: "password",
};
const SENTENCE = {
  TOKEN_INVALID: "This link was used before or is too old. Run: meydan admin setup-link",
  TOO_SHORT: "At least 8 characters.",
  TOO_LONG: "At most 256 characters.",
  COMMON: "Many people use this password.",
  EASY_TO_GUESS: "This is too easy to guess. A few unusual words work well.",
};

function put(field, text) {
  const place = document.getElementById(field + "-error");
  if (!place) return false;
  place.textContent = place.textContent ? place.textContent + " " + text : text;
  return true;
}

function show(problem) {
  const errors = problem.errors || [];
  let placed = false;
  for (const error of errors) {
    const field = (error.pointer || "").replace(/^\//, "");
    placed = put(field, error.detail) || placed;
  }
  const field = FIELD_OF[problem.code];
  if (field) {
    const reasons = (problem.reasons || []).map((reason) => SENTENCE[reason] || reason);
    placed = put(field, reasons.join(" ") || problem.detail) || placed;
  }
  outcome.textContent = placed
    ? "Please correct what is marked."
    : SENTENCE[problem.code] || problem.detail || "It did not work; try again.";
  const first = [...document.querySelectorAll(".error")].find((place) => place.textContent);
  if (first) document.getElementById(first.id.replace("-error", "")).focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  outcome.textContent = "";
  for (const place of document.querySelectorAll(".error")) place.textContent = "";
  const body = Object.fromEntries(new FormData(form));
  body.token = token;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch("/v1/auth/setup", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      form.hidden = true;
      document.getElementById("intro").hidden = true;
      history.replaceState(null, "", "/setup");
      outcome.textContent =
        "Done. You can log in with this account now. Next: open the API documentation at /docs.";
    } else {
      show(await answer.json());
    }
  } catch {
    outcome.textContent = "The server did not answer. Is it still running?";
  } finally {
    button.disabled = false;
  }
});
