// Asking for a link that logs in.

import { call } from "./calls.js";
import { at, when } from "./forms.js";
import { t } from "./language.js";

when(at("form"), async ({ email }) => {
  await call("POST", "/v1/auth/magic-links", { email });
  return t("If {} has an account, a letter with a link is on its way. It is good for 30 minutes.", email);
});
