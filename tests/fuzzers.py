"""Who fuzzes, and what it is about: people with accounts of their own, and records that exist."""

import time
from random import Random
from typing import Any

import httpx
from schemathesis import Case

PASSWORD = "nine fuzzy horses at once"
SECRET = "the secret of the services that are fuzzed"
RIGHTS = ("organisation:view", "organisation:create", "organisation:edit", "contract:view", "grant:view")
"""Of the API client that asks."""
OFTEN = 0.7
"""How many of the requests are about something that is there."""
OF_FIELD = {
    "account_manager": "user",
    "responsible": "user",
    "avatar_file": "file",
    "client": "api-client",
    "type": "document-type",
}
"""Fields whose name says less than what stands in them."""
OF_NAME = {
    "position": ("1", "5"),
    "level": ("0",),
    "place": ("000", "000.p/3", "000.p/9"),
    "from": ("1",),
    "to": ("5",),
    "as_of": ("v1", "7", "2199-01-01T00:00:00Z"),
}
"""Parameters that mean something only in one form."""
UNFIT = {"avatar_file_id", "attachments", "not_before", "expires_at", "api_key_hash", "confidential"}
"""Fields of examples that fit nobody: another's file, an instant that has passed, no hash, a contradiction."""


class Root:
    """The first administrator, who is left alone: makes accounts, and sees every record."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self.client = httpx.Client(base_url=f"{url}/api/v1", timeout=30)
        self._login = {"login": login, "password": password}
        self._signed_in = 0.0
        self.left_alone = {self.fresh().get("/me").json()["id"]}
        """Ids of who must be able to go on."""

    def fresh(self) -> httpx.Client:
        """The client, with a token that is good for a while."""
        if time.monotonic() - self._signed_in > 240:
            self._signed_in = time.monotonic()
            pair = self.signed_in(self._login)
            self.client.headers["Authorization"] = f"Bearer {pair['access_token']}"
        return self.client

    def signed_in(self, login: dict[str, str]) -> dict[str, str]:
        answer = self.client.post("/auth/login", json=login, headers={"Authorization": ""})
        pair: dict[str, str] = answer.raise_for_status().json()
        return pair

    def account(self, role: str) -> dict[str, str]:
        """A new one, signed in: its token pair, login and password."""
        body = {
            "email": f"{role}-{time.monotonic_ns()}@example.org",
            "first_name": "Fuzzy",
            "last_name": role,
        }
        made = self.fresh().post("/users", json=body | {"role": role}).raise_for_status().json()
        login = {"login": body["email"], "password": made["temporary_password"]}
        pair = self.signed_in(login)
        change = {"old": login["password"], "new": PASSWORD}
        header = {"Authorization": f"Bearer {pair['access_token']}"}
        self.client.post("/me/password", json=change, headers=header).raise_for_status()
        return pair | login | {"password": PASSWORD, "old": PASSWORD}

    def program(self) -> dict[str, str]:
        """The headers of a new API client that may do some things."""
        made = self.fresh().post("/api-clients", json={"name": "Fuzzy"}).raise_for_status().json()
        self.left_alone.add(made["id"])
        for right in RIGHTS:
            module, action = right.split(":")
            grant = {"scope_type": "global", "scope_id": "*", "module": module, "action": action}
            subject = {"type": "client", "id": made["id"]}
            self.client.post("/grants", json=grant | {"subject": subject}).raise_for_status()
        return {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]}

    def position(self) -> int:
        """The head of the log."""
        made = self.fresh().post("/organisations", json={"full_name": "The last one"}).raise_for_status()
        return int(made.headers["x-event-position"])


class Caller:
    """One who asks as `name`: admin, user, client, service or stranger."""

    def __init__(self, root: Root, name: str) -> None:
        self.name = name
        self._root = root
        self.knows: dict[str, str] = {}
        """Fields of bodies: login, password, refresh_token."""
        self._renew()

    def _renew(self) -> None:
        match self.name:
            case "admin" | "user":
                self.knows = self._root.account(self.name)
                self.headers = {"Authorization": f"Bearer {self.knows['access_token']}"}
            case "client":
                self.headers = self._root.program()
            case "service":
                self.headers = {"X-Internal-Secret": SECRET}
            case _:
                self.headers = {}

    def renewed(self) -> bool:
        """Whether the credential was no good any more: signed out, left, or demoted by what was asked before."""
        if self.name in ("service", "stranger"):
            return False
        if self._root.client.get("/permissions/catalogue", headers=self.hidden()).status_code == 200:
            return False
        self._renew()
        return True

    def hidden(self) -> dict[str, str]:
        """The headers, over the root's own."""
        return {"Authorization": ""} | self.headers


class Records:
    """Ids that exist, by the address of their list."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._known: dict[str, list[str]] = {}

    def gather(self, lists: list[str]) -> None:
        """Look at every list there is, once it knows all that was made."""
        head = {"X-Min-Position": str(self._root.position())}
        for path in lists:
            answer = self._root.client.get(
                path.removeprefix("/api/v1"), params={"page_size": "100"}, headers=head
            )
            records = answer.json().get("data", []) if answer.status_code == 200 else []
            for record in records:
                self.made(f"{path}/{record.get('id', '')}")

    def made(self, location: str) -> None:
        """What a `Location` names."""
        path, _, made = location.rpartition("/")
        known = self._known.setdefault(path, [])
        if made and made not in (*known, *self._root.left_alone):
            known.append(made)

    def put_into(
        self, case: Case, caller: Caller, random: Random, *, right: bool, example: bool = False
    ) -> None:
        """Most requests shall be about something that is there; only a right one may name it in its body."""
        often = 1.0 if example else OFTEN
        for name in case.path_parameters:
            collection = case.path.partition(f"/{{{name}")[0]
            if (known := OF_NAME.get(name) or self._known.get(collection)) and random.random() < often:
                case.path_parameters[name] = random.choice(known)
        if not right:
            return
        for name in [one.name for one in case.operation.query if one.is_required or one.name in case.query]:
            if name in OF_NAME and random.random() < often:
                case.query[name] = random.choice(OF_NAME[name])
        if random.random() < often:
            self._name(case.body, caller, random, UNFIT if example else set())

    def _name(self, value: Any, caller: Caller, random: Random, without: set[str]) -> None:
        if isinstance(value, list):
            for each in value:
                self._name(each, caller, random, without)
        elif isinstance(value, dict):
            for name in without & value.keys():
                del value[name]
            for name, each in value.items():
                known = self._known.get(f"/api/v1/{noun_of(name, value)}s")
                if name.endswith("id") and isinstance(each, str) and known:
                    value[name] = random.choice(known)
                elif name in caller.knows:
                    value[name] = caller.knows[name]
                else:
                    self._name(each, caller, random, without)


def noun_of(name: str, fields: dict[str, Any]) -> str:
    """What a field names: `organisation_id`, or `id` beside a `type`, `scope_id` beside a `scope_type`."""
    beside = fields.get({"id": "type", "scope_id": "scope_type"}.get(name, ""))
    noun = str(beside or name.removesuffix("_id"))
    return OF_FIELD.get(noun, noun)
