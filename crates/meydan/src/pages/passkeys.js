// Passkeys of this browser.

import { call } from "./calls.js";

/** Addresses without a name are no home for passkeys; this computer has one. */
export const nameless = /^(127\.|\[::1\])/.test(location.hostname);

/** Whether this page may use passkeys, as far as the browser is concerned. */
export const hasPasskeys = !nameless && Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

/** Lets the authenticator answer: what a login, a second factor or a step-up sends. */
export async function usePasskey() {
  const { challenge_id, public_key } = await call("POST", "/v1/auth/passkeys/options", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(public_key);
  const credential = await navigator.credentials.get({ publicKey });
  return { challenge_id, credential: credential.toJSON() };
}

/** Lets the authenticator make a passkey from the options of an account. */
export async function makePasskey({ challenge_id, public_key }) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(public_key);
  const credential = await navigator.credentials.create({ publicKey });
  return { challenge_id, credential: credential.toJSON() };
}
