"""What schemathesis has to know to get behind the first refusal: who logs in, and what there is.

Loaded by schemathesis itself (SCHEMATHESIS_HOOKS); `test_openapi.py` says in the environment where
the server is and what it made there.
"""

import atexit
import json
import os
import random
from collections import Counter

import requests
import schemathesis
from hypothesis import strategies as st

ORIGIN = os.environ["OPENAPI_ORIGIN"]
# Names of path parameters, and one value of each that exists.
KNOWN = json.loads(os.environ["OPENAPI_KNOWN"])
# A bot in the known community, and a key of the person who made everything, with every scope.
BOT = os.environ["OPENAPI_BOT"]
KEY = os.environ["OPENAPI_KEY"]
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
    ("POST", "/api/v10/applications/{application_id}/bot/reset-token"),
    ("PUT", "/api/v10/applications/{application_id}/installs/{guild_id}"),
    ("DELETE", "/api/v10/applications/{application_id}/installs/{guild_id}"),
    ("DELETE", "/api/v10/guilds/{guild_id}/members/{user_id}"),
    ("PUT", "/api/v10/guilds/{guild_id}/bans/{user_id}"),
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


# What the document means by the formats that no standard has. Text that a line may hold and begin
# and end with; names for people are in every script.
seen = st.characters(categories=("L", "N", "P", "S"))
line = st.text(seen, min_size=1, max_size=40)
schemathesis.openapi.format("line", line)
schemathesis.openapi.format("lines", st.lists(line, max_size=3).map("\n".join))
schemathesis.openapi.format(
    "email", st.from_regex(r"\A[a-z0-9]{1,20}(\.[a-z0-9]{1,20})?@[a-z0-9]{1,20}\.example\Z")
)

# How often each credential was shown and let in.
let_in = Counter()


def credentials(case, token: str) -> list[str]:
    """What the document says that the operation takes, beside a page's cookie."""
    schemes = {name for way in case.operation.definition.raw.get("security", []) for name in way}
    others = {"bot": f"Bot {BOT}", "apiKey": f"Bearer {KEY}"}
    return [f"Bearer {token}"] + [others[name] for name in sorted(schemes & others.keys())]


class Login:
    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = choice.choice(credentials(case, data))


@schemathesis.hook
def after_call(context, case, response):
    shown = response.request.headers.get("Authorization", "")
    kinds = {f"Bot {BOT}": "bot", f"Bearer {KEY}": "key"}
    if response.status_code < 300 and shown:
        let_in[kinds.get(shown, "user")] += 1


@atexit.register
def tell() -> None:
    with open(os.environ["OPENAPI_LET_IN"], "w") as file:
        json.dump(let_in, file)


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


def whole(value):
    """JSON knows one kind of number, so 7.0 is a whole one; the server wants it written as 7."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


def possible(case) -> None:
    """Takes out of a sound request what no schema can rule out."""
    body = whole(case.body)
    if body is not case.body and repr(body) != repr(case.body):
        case.body = body
    query = case.query or {}
    # A cursor comes from the page before.
    query.pop("cursor", None)
    # One of them at a time.
    if case.operation.path.endswith(("/messages", "/audit-logs")):
        windows = [name for name in ("before", "after", "around") if name in query]
        for name in windows[1:]:
            del query[name]


@schemathesis.hook
def before_call(context, case, kwargs):
    """Calls come from a few computers: limits of addresses answer some of them, and not nearly all."""
    case.headers = case.headers or {}
    case.headers["X-Forwarded-For"] = f"10.{choice.randrange(256)}.0.2"
    if case.meta is None or case.meta.generation.mode.is_positive:
        possible(case)
