"""What schemathesis has to know to get behind the first refusal: who logs in, and what there is.

Loaded by schemathesis itself (SCHEMATHESIS_HOOKS); `test_openapi.py` says in the environment where
the server is and what it made there.
"""

import json
import os
import random

import requests
import schemathesis

ORIGIN = os.environ["OPENAPI_ORIGIN"]
# Names of path parameters, and one value of each that exists.
KNOWN = json.loads(os.environ["OPENAPI_KNOWN"])
# Operations after which the account they are called by may not log in as before: other password,
# other factors, no sessions, no account.
CHANGES_LOGIN = {
    "method": ["POST", "PUT", "PATCH", "DELETE"],
    "path_regex": "^/v1/(auth/logout|users/@me)",
}
# What would take the known things away from all later cases.
DESTROYS = {
    ("DELETE", "/api/v10/guilds/{guild_id}"),
    ("DELETE", "/api/v10/channels/{channel_id}"),
    ("DELETE", "/api/v10/users/@me/guilds/{guild_id}"),
    ("DELETE", "/api/v10/applications/{application_id}"),
    ("DELETE", "/api/v10/channels/{channel_id}/messages/{message_id}"),
}

choice = random.Random(7)


def somewhere() -> dict[str, str]:
    """The head of a request from an address of its own, which no limit has seen before."""
    return {"X-Forwarded-For": f"10.{choice.randrange(256)}.{choice.randrange(256)}.1"}


def tokens(path: str, body: dict) -> str:
    answer = requests.post(ORIGIN + path, json=body, headers=somewhere(), timeout=15)
    if answer.status_code not in (200, 201):
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
    return answer.json()["access_token"]


class Login:
    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth(refresh_interval=2).apply_to(**CHANGES_LOGIN)
class NewPerson(Login):
    """Somebody who has just signed up, and for whom it does not matter."""

    def get(self, case, context):
        name = f"p{choice.randrange(10**12)}"
        person = {
            "email": f"{name}@example.com",
            "password": os.environ["OPENAPI_PASSWORD"],
            "username": name,
            "display_name": name,
            "consents": [],
        }
        return tokens("/v1/auth/registrations", person)


@schemathesis.auth(refresh_interval=300).skip_for(**CHANGES_LOGIN)
class Maker(Login):
    """Who made everything that is known."""

    def get(self, case, context):
        # By address: names are changed on the way.
        person = {"identifier": "openapi@example.com", "password": os.environ["OPENAPI_PASSWORD"]}
        return tokens("/v1/auth/login", person)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the cases are about something that exists."""
    operation = context.operation
    here = (operation.method.upper(), operation.path)
    if path_parameters and here not in DESTROYS and choice.random() < 0.5:
        for name in path_parameters:
            path_parameters[name] = KNOWN.get(name, path_parameters[name])
    return path_parameters


@schemathesis.hook
def before_call(context, case, kwargs):
    """Calls come from a few computers: limits of addresses answer some of them, and not nearly all."""
    case.headers = case.headers or {}
    case.headers["X-Forwarded-For"] = f"10.{choice.randrange(256)}.0.2"
