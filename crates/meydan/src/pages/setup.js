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

function show(problem) {
  outcome.textContent = problem.detail || problem.title || "It did not work; try again.";
  for (const error of problem.errors || []) {
    const field = (error.pointer || "").replace(/^\//, "");
    const place = document.getElementById(field + "-error");
    if (place) place.textContent = error.detail;
  }
  if (problem.reasons) {
    document.getElementById("password-error").textContent = problem.reasons.join(" ");
  }
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
