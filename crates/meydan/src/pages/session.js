// The session of the account page: acts that may ask for a proof first, and what is shown of it.

import { begin, call, Refusal, renew } from "./calls.js";
import { Cancelled } from "./forms.js";
import { t } from "./language.js";
import { hasPasskeys } from "./passkeys.js";
import { prove } from "./proof.js";

const painters = [];
let me = null;
let offered = null;

/** Calls `paint(me, offered)` whenever the account was read. */
export function onChange(paint) {
  painters.push(paint);
}

/** Reads the account anew and shows it. */
export async function refresh() {
  me = await act("GET", "/v1/users/@me");
  await Promise.all(painters.map((paint) => paint(me, offered)));
}

/** Takes up the session of the browser. */
export async function open() {
  await guarded(begin);
  offered = await call("GET", "/v1/auth/methods");
  await refresh();
}

/** Looks whether the session is still there; another device may have ended it. */
export const look = () => guarded(begin);

/** Does something to the account. Where the server asks who it is, so does a dialog; then the act
 * goes on. */
export async function act(...request) {
  for (;;) {
    try {
      return await guarded(() => call(...request));
    } catch (error) {
      if (error.code !== "STEP_UP_REQUIRED") throw error;
      // Once for the time since the login, and once for a second factor it did not have.
      await stepUp(error.problem.methods);
    }
  }
}

async function stepUp(methods) {
  const ways = methods.flatMap((method) => {
    if (method === "passkey") return hasPasskeys ? [method] : [];
    if (method !== "otp") return [method];
    const reached = [me.email, me.phone_number].filter(Boolean);
    return reached.filter((to) => offered.codes.includes(to.includes("@") ? "email" : "sms")).map((otp) => ({ otp }));
  });
  if (ways.length === 0) throw new Error("no way to prove a login in this browser");
  await prove({
    title: t("Is it you?"),
    why: t("Your login is some time ago. Prove once more that it is you; then what you began goes on."),
    ways,
    ends: ["UNAUTHENTICATED"],
    send: (proof) => guarded(() => show(proof)),
  });
}

async function show(proof) {
  try {
    renew((await call("POST", "/v1/auth/step-up", proof)).csrf_token);
  } catch (error) {
    // Whose password it is, is known here.
    if (error.code === "INVALID_CREDENTIALS") throw new Refusal({ code: "PASSWORD_WRONG" });
    throw error;
  }
}

/** Leaves the page when the session is over. */
async function guarded(work) {
  try {
    return await work();
  } catch (error) {
    if (error.code !== "UNAUTHENTICATED") throw error;
    leave(me ? "ended" : null);
    // The page is on its way out; nothing more is to be said here.
    throw new Cancelled();
  }
}

let isLeaving = false;

/** Goes to the login, which says why. Once: whatever else was under way finds the session gone, too. */
export function leave(said) {
  if (isLeaving) return;
  isLeaving = true;
  location.replace(said ? `/auth/login#said=${said}` : "/auth/login");
}
