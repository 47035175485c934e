// Logging in with a code that is sent to a number or an address.

import { codeForm } from "./codes.js";
import { enter } from "./enter.js";
import { at } from "./forms.js";

codeForm(at("form"), "login", ({ handle, code }) => enter("/v1/auth/otp/verify", { handle, otp_code: code }));
