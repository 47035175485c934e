// The end of every login: a second factor where one is asked for, then the account.

import { call } from "./calls.js";
import { moment, t } from "./language.js";
import { hasPasskeys } from "./passkeys.js";
import { prove } from "./proof.js";

/** What every login of a page sends along. */
export const SESSION = { session: "cookie", device: { device_type: "web" } };

/** Logs in by one operation. */
export async function enter(path, proof) {
  try {
    await call("POST", path, { ...proof, ...SESSION });
  } catch (error) {
    if (error.code !== "SECOND_FACTOR_REQUIRED" && error.code !== "REGISTRATION_LOCKED") throw error;
    await second(error.problem);
  }
  location.replace("/account");
}

/** Goes on with a login that waits for its second factor. */
export async function second({ mfa_token, methods, unlocks_at }) {
  const ways = methods.filter((method) => method !== "passkey" || hasPasskeys);
  const locked = unlocks_at
    ? t("A PIN guards this number. It is no longer asked for after {}, if the account is not used until then.", moment(unlocks_at))
    : t("This account asks for a second factor.");
  if (ways.length === 0) throw new Error("no way to prove a second factor in this browser");
  await prove({
    title: t("One more proof"),
    why: locked,
    ways,
    ends: ["MFA_TOKEN_INVALID"],
    send: (proof) => call("POST", "/v1/auth/login/second-factor", { mfa_token, ...proof, ...SESSION }),
  });
}
