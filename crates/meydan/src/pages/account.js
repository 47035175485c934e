// The session is a cookie that this script cannot read. What it holds is the token that shows the
// server that a page of its own asks.
"use strict";

const TURKISH = {
  "Your account": "Hesabınız",
  "User name, e-mail address or number": "Kullanıcı adı, e-posta adresi ya da numara",
  "Password": "Parola",
  "Log in": "Giriş yap",
  "Use a passkey": "Geçiş anahtarı kullan",
  "One more proof is needed.": "Bir doğrulama daha gerekiyor.",
  "Code of your authenticator app, or a recovery code": "Doğrulayıcı uygulamanızın kodu ya da bir kurtarma kodu",
  "Continue": "Devam et",
  "Cancel": "Vazgeç",
  "Logged in as": "Giriş yapan:",
  "Log out": "Çıkış yap",
  "Log out everywhere": "Her yerden çıkış yap",
  "Devices": "Cihazlar",
  "Passkeys": "Geçiş anahtarları",
  "Name of a new passkey": "Yeni geçiş anahtarının adı",
  "Add a passkey": "Geçiş anahtarı ekle",
  "Authenticator app": "Doğrulayıcı uygulama",
  "Set up": "Kur",
  "Remove": "Kaldır",
  "Open this link on the device with the app, or type the key into it:": "Uygulamanın bulunduğu cihazda bu bağlantıyı açın ya da anahtarı uygulamaya yazın:",
  "Open the app": "Uygulamayı aç",
  "Code that the app shows": "Uygulamanın gösterdiği kod",
  "Turn on": "Aç",
  "Recovery codes": "Kurtarma kodları",
  "For when the app and the passkeys are lost. Unused:": "Uygulama ve geçiş anahtarları kaybolduğunda kullanılır. Kullanılmamış:",
  "Make new codes": "Yeni kodlar oluştur",
  "Write these down now. They are shown once, and each works once.": "Bunları şimdi not alın. Bir kez gösterilir, her biri bir kez kullanılır.",
  "This device": "Bu cihaz",
  "Unnamed device": "Adsız cihaz",
  "last used": "son kullanım",
  "never used": "hiç kullanılmadı",
  "It is on.": "Açık.",
  "It is off.": "Kapalı.",
  "Done.": "Tamam.",
  "Logged out.": "Çıkış yapıldı.",
  "For your safety, log in again before you change this.": "Güvenliğiniz için bunu değiştirmeden önce yeniden giriş yapın.",
  "The browser did not use a passkey.": "Tarayıcı geçiş anahtarı kullanmadı.",
  "This browser knows no passkeys.": "Bu tarayıcı geçiş anahtarlarını tanımıyor.",
  "Browsers allow no passkeys at this address. Open this page here:": "Tarayıcılar bu adreste geçiş anahtarına izin vermez. Sayfayı burada açın:",
  "The server did not answer. Is it still running?": "Sunucu yanıt vermedi. Hâlâ çalışıyor mu?",
};
const turkish = navigator.language.toLowerCase().startsWith("tr");
const t = (text) => (turkish && TURKISH[text]) || text;
const at = (id) => document.getElementById(id);

let csrf = null;
let waiting = null; // A login that waits for its second factor.

class Refusal extends Error {
  constructor(problem) {
    super(problem.detail || problem.title);
    this.problem = problem;
  }
}

async function call(method, path, body) {
  const headers = { "accept-language": turkish ? "tr" : "en" };
  if (csrf && method !== "GET") headers["x-csrf-token"] = csrf;
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  if (answer.status === 204) return null;
  const json = await answer.json();
  if (!answer.ok) throw new Refusal(json);
  return json;
}

// Addresses without a name are no home for passkeys; this computer has one.
const nameless = /^(127\.|\[::1\])/.test(location.hostname);
const passkeys = !nameless && Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON);

async function answerOptions() {
  const { challenge_id, public_key } = await call("POST", "/v1/auth/passkeys/options", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(public_key);
  const credential = await navigator.credentials.get({ publicKey });
  return { challenge_id, credential: credential.toJSON() };
}

function show(section) {
  for (const id of ["login", "second", "account"]) at(id).hidden = id !== section;
  const first = at(section).querySelector("input:not([hidden])");
  if (section === "account") at("title").focus();
  else if (first) first.focus();
}

function say(text) {
  at("outcome").textContent = text;
}

/** Does something for a button or form: once at a time, and says how it ended. */
function doing(work) {
  return async (event) => {
    event.preventDefault();
    const source = event.currentTarget;
    const buttons = source.matches("button") ? [source] : [...source.querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    say("");
    try {
      say((await work(source)) || "");
    } catch (error) {
      await failed(error);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  };
}

async function failed(error) {
  if (error instanceof DOMException) return say(t("The browser did not use a passkey."));
  if (!(error instanceof Refusal)) return say(t("The server did not answer. Is it still running?"));
  const { problem } = error;
  if (problem.code === "SECOND_FACTOR_REQUIRED" || problem.code === "REGISTRATION_LOCKED") {
    waiting = problem;
    at("second-codes").hidden = at("second-submit").hidden = !problem.methods.some((method) => method !== "passkey");
    at("second-passkey").hidden = !(passkeys && problem.methods.includes("passkey"));
    return show("second");
  }
  if (problem.code === "STEP_UP_REQUIRED") {
    await call("POST", "/v1/auth/logout", {});
    csrf = null;
    show("login");
    return say(t("For your safety, log in again before you change this."));
  }
  if (problem.code === "MFA_TOKEN_INVALID") show("login");
  const fields = (problem.errors || []).map((field) => field.detail);
  say([error.message, ...fields].join(" "));
}

async function loggedIn(session) {
  csrf = session.csrf_token;
  waiting = null;
  for (const form of document.forms) form.reset();
  await refresh();
  show("account");
}

function row(list, text, button, work) {
  const item = document.createElement("li");
  const label = document.createElement("span");
  label.textContent = text;
  item.append(label);
  if (button) {
    const element = document.createElement("button");
    element.type = "button";
    element.className = "plain";
    element.textContent = t(button);
    element.setAttribute("aria-label", `${t(button)}: ${text}`);
    element.addEventListener("click", doing(work));
    item.append(element);
  }
  list.append(item);
}

const when = (text) => (text ? `${t("last used")} ${new Date(text).toLocaleString(turkish ? "tr" : "en")}` : t("never used"));

/** What people call the program of a long `User-Agent`. */
function program(agent) {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\//.exec(agent || "")?.[1];
  const system = /(Android|iPhone|iPad|Windows|Mac OS X|Linux)/.exec(agent || "")?.[1];
  if (!browser) return agent;
  return [{ Edg: "Edge", OPR: "Opera" }[browser] || browser, system].filter(Boolean).join(", ");
}

async function refresh() {
  const [me, devices, keys] = await Promise.all([
    call("GET", "/v1/users/@me"),
    call("GET", "/v1/users/@me/devices?limit=100"),
    call("GET", "/v1/users/@me/passkeys"),
  ]);
  at("name").textContent = me.username;
  at("devices").replaceChildren();
  for (const device of devices.items) {
    const name = device.device_name || program(device.user_agent) || t("Unnamed device");
    const text = `${device.current ? `${t("This device")}: ` : ""}${name}, ${when(device.last_seen_at)}`;
    row(at("devices"), text, device.current ? null : "Log out", async () => {
      await call("DELETE", `/v1/users/@me/devices/${device.id}`);
      await refresh();
      return t("Done.");
    });
  }
  at("passkeys").replaceChildren();
  for (const key of keys.items) {
    row(at("passkeys"), `${key.name}, ${when(key.last_used_at)}`, "Remove", async () => {
      await call("DELETE", `/v1/users/@me/passkeys/${key.id}`);
      await refresh();
      return t("Done.");
    });
  }
  const { totp, recovery_codes_left } = me.factors;
  at("totp-state").textContent = t(totp ? "It is on." : "It is off.");
  at("totp-begin").hidden = totp;
  at("totp-remove").hidden = !totp;
  at("totp-form").hidden = true;
  at("codes-left").textContent = recovery_codes_left;
  at("codes-renew").hidden = !totp && keys.items.length === 0;
}

function showCodes(codes) {
  at("codes-list").replaceChildren(
    ...codes.map((code) => {
      const item = document.createElement("li");
      const text = document.createElement("code");
      text.textContent = code;
      item.append(text);
      return item;
    }),
  );
  at("codes").hidden = false;
}

at("password-form").addEventListener("submit", doing(async (form) => {
  const body = { ...Object.fromEntries(new FormData(form)), session: "cookie", device: { device_type: "web" } };
  await loggedIn(await call("POST", "/v1/auth/login", body));
}));

at("passkey-login").addEventListener("click", doing(async () => {
  const body = { ...(await answerOptions()), session: "cookie", device: { device_type: "web" } };
  await loggedIn(await call("POST", "/v1/auth/passkeys/login", body));
}));

async function finish(proof) {
  const body = { mfa_token: waiting.mfa_token, ...proof, session: "cookie", device: { device_type: "web" } };
  await loggedIn(await call("POST", "/v1/auth/login/second-factor", body));
}

at("second-form").addEventListener("submit", doing(async () => {
  const code = at("second-code").value.trim();
  await finish({ method: /^[0-9 ]{6,7}$/.test(code) ? "totp" : "recovery", code });
}));
at("second-passkey").addEventListener("click", doing(async () => finish({ method: "passkey", ...(await answerOptions()) })));
at("second-cancel").addEventListener("click", doing(async () => show("login")));

at("logout").addEventListener("click", doing(async () => {
  await call("POST", "/v1/auth/logout", {});
  csrf = null;
  show("login");
  return t("Logged out.");
}));

at("logout-all").addEventListener("click", doing(async () => {
  await call("POST", "/v1/auth/logout-all", {});
  csrf = null;
  show("login");
  return t("Logged out.");
}));

at("passkey-form").addEventListener("submit", doing(async (form) => {
  const { challenge_id, public_key } = await call("POST", "/v1/users/@me/passkeys/options");
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(public_key);
  const credential = await navigator.credentials.create({ publicKey });
  const name = at("passkey-name").value.trim();
  await call("POST", "/v1/users/@me/passkeys", { challenge_id, credential: credential.toJSON(), name });
  form.reset();
  await refresh();
  return t("Done.");
}));

at("totp-begin").addEventListener("click", doing(async () => {
  const { secret, otpauth_uri } = await call("POST", "/v1/users/@me/totp");
  at("totp-secret").textContent = secret.replace(/(.{4})(?=.)/g, "$1 ");
  at("totp-link").href = otpauth_uri;
  at("totp-form").hidden = false;
  at("totp-code").focus();
}));

at("totp-form").addEventListener("submit", doing(async (form) => {
  const { recovery_codes } = await call("PUT", "/v1/users/@me/totp", { code: at("totp-code").value.trim() });
  form.reset();
  at("totp-secret").textContent = "";
  at("totp-link").removeAttribute("href");
  await refresh();
  showCodes(recovery_codes);
  return t("Done.");
}));

at("totp-remove").addEventListener("click", doing(async () => {
  await call("DELETE", "/v1/users/@me/totp");
  at("codes").hidden = true;
  await refresh();
  return t("Done.");
}));

at("codes-renew").addEventListener("click", doing(async () => {
  const { recovery_codes } = await call("POST", "/v1/users/@me/recovery-codes");
  await refresh();
  showCodes(recovery_codes);
  return t("Done.");
}));

async function begin() {
  if (turkish) {
    document.documentElement.lang = "tr";
    for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.textContent);
  }
  if (!passkeys) {
    at("passkey-login").hidden = at("passkey-form").hidden = true;
    at("no-passkeys").hidden = false;
    at("no-passkeys").textContent = t(nameless ? "Browsers allow no passkeys at this address. Open this page here:" : "This browser knows no passkeys.");
    if (nameless) {
      const link = document.createElement("a");
      link.href = link.textContent = `${location.protocol}//localhost:${location.port}/account`;
      at("no-passkeys").append(" ", link);
    }
  }
  try {
    csrf = (await call("GET", "/v1/auth/csrf")).csrf_token;
    await refresh();
    show("account");
  } catch (error) {
    show("login");
    if (!(error instanceof Refusal)) say(t("The server did not answer. Is it still running?"));
  }
}
begin();
