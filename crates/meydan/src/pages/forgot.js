// Asking for a link to choose a new password.

import { call } from "./calls.js";
import { at, when } from "./forms.js";
import { t } from "./language.js";

when(at("form"), async ({ identifier }) => {
  await call("POST", "/v1/auth/password-resets", { identifier });
  return t("If {} has an account with an e-mail address, a letter with a link is on its way. It is good for 30 minutes.", identifier);
});
