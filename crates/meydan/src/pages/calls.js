// Calls to the server. The session is a cookie that no script can read; what is held here is the
// token that shows the server that a page of its own asks.

import { locale, t } from "./language.js";

let csrf = null;

/** An answer that says no. */
export class Refusal extends Error {
  /** `wait`: seconds until it makes sense to ask again. */
  constructor(problem, wait = null) {
    super(problem.detail || problem.title || problem.code);
    Object.assign(this, { code: problem.code, problem, wait });
  }
}

async function send(method, path, body, more) {
  const headers = { "accept-language": locale, ...more };
  if (csrf && method !== "GET") headers["x-csrf-token"] = csrf;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  let text;
  try {
    // What leads away is for the whole window to follow; here it only counts that it would.
    answer = await fetch(path, { method, headers, redirect: "manual", body: body && JSON.stringify(body) });
    text = await answer.text();
  } catch {
    throw new Refusal({ code: "OFFLINE", detail: t("The server did not answer. Try again.") });
  }
  const isJson = (answer.headers.get("content-type") || "").includes("json");
  const json = isJson ? JSON.parse(text) : null;
  if (answer.ok || answer.type === "opaqueredirect") return json;
  throw new Refusal(json || { code: "OTHER", detail: t("It did not work. Try again.") }, answer.headers.get("retry-after"));
}

/** Calls an operation; gives the JSON of its answer, or throws a `Refusal`. */
export async function call(...request) {
  try {
    return await send(...request);
  } catch (error) {
    // Another tab may have proved the login anew: then the cookie is another, and so is its token.
    if (!csrf || !["CSRF_FAILED", "UNAUTHENTICATED"].includes(error.code)) throw error;
    await begin();
    return send(...request);
  }
}

/** Takes up the session of the browser's cookie; throws when there is none. */
export async function begin() {
  csrf = null;
  csrf = (await send("GET", "/v1/auth/csrf")).csrf_token;
}

/** The token of a session that was just renewed. */
export function renew(token) {
  csrf = token;
}
