// The token stands behind the #, so that no proxy and no Referer header ever sees it. Nothing is
// sent before the button is pressed: programs that look for viruses open links, too.
"use strict";
const token = location.hash.slice(1);
const page = document.body.dataset.page;
const form = document.getElementById("form");
const outcome = document.getElementById("outcome");
const error = document.getElementById("error");
const more = document.getElementById("more");

const TEXTS = {
  en: {
    confirm: {
      title: "Welcome to Meydan",
      intro: "Your address is confirmed with one press. Then your account is made and you are logged in.",
      username: "Another user name: small letters, digits, dot, underscore",
      button: "Make my account",
      done: "Done. Your account is made and you are logged in.",
    },
    magic: {
      title: "Log in to Meydan",
      intro: "The link that brought you here works once.",
      code: "Code of your authenticator app, or a recovery code",
      button: "Log in",
      done: "You are logged in.",
    },
    reset: {
      title: "Choose a new password",
      intro: "It ends every login of your account; log in anew with it. A sentence of a few unusual words is best.",
      password: "New password, 8 characters or more",
      button: "Save",
      done: "Saved. You can log in with your new password now.",
    },
    problem: {
      NO_TOKEN: "This page needs the whole link of the letter.",
      TOKEN_INVALID: "This link was used before, is too old, or a newer one was sent. Ask for another.",
      USERNAME_TAKEN: "Somebody took this user name meanwhile. Choose another.",
      PASSWORD_TOO_WEAK: "This password is too easy to guess. A few unusual words work well.",
      SECOND_FACTOR_REQUIRED: "Your account asks for a second factor.",
      SECOND_FACTOR_INVALID: "This code is wrong or was used before.",
      MFA_TOKEN_INVALID: "This took too long or failed too often. Ask for another link.",
      PASSKEY_ONLY: "Your account asks for its passkey; log in with that.",
      OFFLINE: "The server did not answer. Try again.",
      OTHER: "It did not work. Try again.",
    },
  },
  tr: {
    confirm: {
      title: "Meydan'a hoş geldiniz",
      intro: "Düğmeye basınca adresiniz onaylanır, hesabınız açılır ve giriş yapmış olursunuz.",
      username: "Başka bir kullanıcı adı: küçük harf, rakam, nokta, alt çizgi",
      button: "Hesabımı aç",
      done: "Tamam. Hesabınız açıldı ve giriş yaptınız.",
    },
    magic: {
      title: "Meydan'a giriş",
      intro: "Sizi buraya getiren bağlantı bir kez kullanılır.",
      code: "Doğrulayıcı uygulamanın kodu ya da bir kurtarma kodu",
      button: "Giriş yap",
      done: "Giriş yaptınız.",
    },
    reset: {
      title: "Yeni parola seçin",
      intro: "Hesabınızın bütün oturumları kapanır; yeni parolayla yeniden giriş yaparsınız. Alışılmadık birkaç sözcük en iyisidir.",
      password: "Yeni parola, en az 8 karakter",
      button: "Kaydet",
      done: "Kaydedildi. Artık yeni parolanızla giriş yapabilirsiniz.",
    },
    problem: {
      NO_TOKEN: "Bu sayfa için mektuptaki bağlantının tamamı gerekir.",
      TOKEN_INVALID: "Bu bağlantı kullanılmış, süresi dolmuş ya da yenisi gönderilmiş. Yeniden isteyin.",
      USERNAME_TAKEN: "Bu kullanıcı adı bu arada alınmış. Başka bir ad seçin.",
      PASSWORD_TOO_WEAK: "Bu parola çok kolay tahmin edilir. Alışılmadık birkaç sözcük işe yarar.",
      SECOND_FACTOR_REQUIRED: "Hesabınız ikinci bir doğrulama istiyor.",
      SECOND_FACTOR_INVALID: "Bu kod yanlış ya da daha önce kullanılmış.",
      MFA_TOKEN_INVALID: "Çok uzun sürdü ya da çok kez başarısız oldu. Yeni bir bağlantı isteyin.",
      PASSKEY_ONLY: "Hesabınız geçiş anahtarını istiyor; onunla giriş yapın.",
      OFFLINE: "Sunucu yanıt vermedi. Yeniden deneyin.",
      OTHER: "Olmadı. Yeniden deneyin.",
    },
  },
};
const language = (navigator.language || "en").toLowerCase().startsWith("tr") ? "tr" : "en";
const words = TEXTS[language][page];
const problems = TEXTS[language].problem;

document.documentElement.lang = language;
for (const place of document.querySelectorAll("[data-text]")) {
  place.textContent = words[place.dataset.text] || place.textContent;
}
document.title = words.title;

// What a login waits for, once the link was right and a second factor is asked for.
let waiting = null;

const field = (name) => document.getElementById(name).value.trim();
const STEPS = {
  confirm: () => {
    const body = { token, session: "cookie" };
    if (!more.hidden) body.username = field("username");
    return ["/v1/auth/registrations/confirm", body];
  },
  magic: () => {
    if (!waiting) return ["/v1/auth/magic-links/consume", { token, session: "cookie" }];
    const code = field("code");
    const method = /^[0-9]{6}$/.test(code) ? "totp" : "recovery";
    return ["/v1/auth/login/second-factor", { mfa_token: waiting, method, code, session: "cookie" }];
  },
  reset: () => [
    "/v1/auth/password-resets/confirm",
    { token, new_password: document.getElementById("new_password").value },
  ],
};

function finish(text) {
  form.hidden = true;
  document.getElementById("intro").hidden = true;
  outcome.textContent = text;
}

function ask(name) {
  more.hidden = false;
  document.getElementById(name).focus();
}

function show(problem) {
  let code = problem.code;
  if (code === "SECOND_FACTOR_REQUIRED" && !problem.methods.includes("totp")) code = "PASSKEY_ONLY";
  const text = problems[code] || problem.detail || problems.OTHER;
  if (["TOKEN_INVALID", "MFA_TOKEN_INVALID", "PASSKEY_ONLY"].includes(code)) return finish(text);
  error.textContent = text;
  if (code === "SECOND_FACTOR_REQUIRED") {
    waiting = problem.mfa_token;
    ask("code");
  }
  if (code === "USERNAME_TAKEN") ask("username");
}

if (!token) finish(problems.NO_TOKEN);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  error.textContent = "";
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const [path, body] = STEPS[page]();
    const answer = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      history.replaceState(null, "", location.pathname);
      finish(words.done);
    } else {
      show(await answer.json());
    }
  } catch {
    error.textContent = problems.OFFLINE;
  } finally {
    button.disabled = false;
  }
});
