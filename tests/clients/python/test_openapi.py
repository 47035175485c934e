"""S1: schemathesis against the API document of the built server, logged in, in development mode.

`schemathesis.toml` beside this file says what is run and what is left out, and why. More of it:

    OPENAPI_EXAMPLES=1000 python -m unittest test_openapi
"""

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

from server import Server

HERE = Path(__file__).resolve().parent
PASSWORD = "kırmızı bisiklet yokuşu 7"
# Enough to find a broken answer; the whole run stays below two minutes on two cores.
EXAMPLES = os.environ.get("OPENAPI_EXAMPLES", "8")
SEED = os.environ.get("OPENAPI_SEED", "7")
ENDS_WITHIN = 600
# Everything comes from one computer and, for limits, from as many as there are calls.
SETTINGS = {
    "MEYDAN_AUTH__PASSWORD__ARGON2_MEMORY": "8MiB",
    "MEYDAN_AUTH__LIMITS__LOGIN_ACCOUNT_PER_HOUR": "100000",
    "MEYDAN_HTTP__TRUSTED_PROXIES": "127.0.0.1",
}


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(SETTINGS).__enter__()
        cls.addClassCleanup(cls.server.close)

    def made(self, method, path, body, token=None):
        status, answer = self.server.call(method, path, body, token)
        self.assertIn(status, (200, 201), f"{method} {path}: {answer}")
        return answer

    def sign_up(self, name):
        person = {
            "email": f"{name}@example.com",
            "password": PASSWORD,
            "username": name,
            "display_name": name,
            "consents": [],
        }
        return self.made("POST", "/v1/auth/registrations", person)

    def world(self):
        """Makes one of each thing that paths name; gives the parameters by name."""
        mine = self.sign_up("openapi")
        token = mine["access_token"]
        other = self.sign_up("other")
        guild = self.made("POST", "/api/v10/guilds", {"name": "known"}, token)
        channels = self.server.call("GET", f"/api/v10/guilds/{guild['id']}/channels", None, token)
        channel = channels[1][0]["id"]
        at = f"/api/v10/channels/{channel}"
        message = self.made("POST", f"{at}/messages", {"content": "known"}, token)
        invite = self.made("POST", f"{at}/invites", {}, token)
        role = self.made("POST", f"/api/v10/guilds/{guild['id']}/roles", {}, token)
        application = self.made("POST", "/api/v10/applications", {"name": "known"}, token)
        install = f"/api/v10/applications/{application['id']}/installs/{guild['id']}"
        self.made("PUT", install, {"permissions": "68608"}, token)
        scopes = ["profile:read", "profile:write", "users:read"]
        key = self.made("POST", "/v1/users/@me/api-keys", {"name": "known", "scopes": scopes}, token)
        self.bot, self.key = application["token"], key["key"]
        return {
            "user_id": other["user_id"],
            "target_id": other["user_id"],
            "guild_id": guild["id"],
            "channel_id": channel,
            "message_id": message["id"],
            "role_id": role["id"],
            "application_id": application["id"],
            "code": invite["code"],
        }

    def test_s1_answers_are_what_the_document_says(self):
        known = self.world()
        let_in = self.server.folder / "let-in.json"
        environment = os.environ | {
            "OPENAPI_ORIGIN": self.server.origin,
            "OPENAPI_KNOWN": json.dumps(known),
            "OPENAPI_BOT": self.bot,
            "OPENAPI_KEY": self.key,
            "OPENAPI_LET_IN": str(let_in),
            "OPENAPI_PASSWORD": PASSWORD,
            "SCHEMATHESIS_HOOKS": "openapi_hooks",
            "PYTHONPATH": str(HERE),
            "NO_COLOR": "1",
        }
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            "--config-file",
            str(HERE / "schemathesis.toml"),
            "run",
            f"{self.server.origin}/openapi.json",
            "--max-examples",
            EXAMPLES,
            "--seed",
            SEED,
        ]
        run = subprocess.run(
            command,
            cwd=self.server.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=ENDS_WITHIN,
        )
        told = run.stdout.decode(errors="replace")
        self.assertEqual(run.returncode, 0, told)
        # Each kind of credential got somewhere.
        often = json.loads(let_in.read_text())
        for kind in ("user", "bot", "key"):
            self.assertGreater(often.get(kind, 0), 5, often)
        print(told[told.rfind("SUMMARY") :])


if __name__ == "__main__":
    unittest.main()
