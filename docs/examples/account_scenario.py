"""The life of an account in thirteen steps, each with the answer it must get, over plain HTTP.

    CHANCERY_REGISTRATION=open make up          # in one terminal
    CHANCERY_ADMIN_PASSWORD=... python docs/examples/account_scenario.py

Settings: CHANCERY_URL, CHANCERY_ADMIN_EMAIL, CHANCERY_ADMIN_PASSWORD. Ends with status 1 at the first wrong answer.
"""

import os
import secrets
import sys
from itertools import count
from typing import Any

import httpx

URL = os.environ.get("CHANCERY_URL", "http://127.0.0.1:8400")
ADMIN = os.environ.get("CHANCERY_ADMIN_EMAIL", "admin@chancery.local")
PASSWORD = os.environ.get("CHANCERY_ADMIN_PASSWORD", "")
numbers = count(1)


class Person:
    """Somebody with a login, a password, and the access token of his newest session."""

    def __init__(self, email: str, password: str) -> None:
        self.login = {"login": email, "password": password}
        self.http = httpx.Client(base_url=f"{URL}/api/v1", timeout=30)

    def step(self, what: str, method: str, path: str, expected: int, **sent: Any) -> Any:
        """Ask, print, and stop unless the answer is the expected one."""
        answer = self.http.request(method, path, **sent)
        body = answer.json() if answer.content else {}
        print(f"{next(numbers):2}. {what}: {answer.status_code} {body.get('code', '')}".rstrip())
        if answer.status_code != expected:
            sys.exit(f"{expected} was expected. {answer.text}")
        return body

    def sign_in(self, what: str, expected: int = 200) -> None:
        pair = self.step(what, "POST", "/auth/login", expected, json=self.login)
        if expected == 200:
            self.http.headers["Authorization"] = f"Bearer {pair['access_token']}"


def main() -> None:
    email, password = f"user-{secrets.token_hex(4)}@example.org", secrets.token_urlsafe(16)
    user, admin = Person(email, password), Person(ADMIN, PASSWORD)
    account = {"email": email, "password": password, "first_name": "Ada", "last_name": "Byron"}

    made = user.step("A user registers", "POST", "/auth/register", 201, json=account)
    user.sign_in("and signs in")
    user.step("reads his own record", "GET", "/me", 200, headers={"X-Min-Position": str(made["position"])})
    admin.sign_in("The administrator signs in")
    admin.step("makes him a moderator", "POST", f"/users/{made['id']}/role", 200, json={"role": "moderator"})
    user.http.headers.update(token(user))  # a new role ends the sessions of the old one
    user.step("He signs out", "POST", "/auth/logout", 204, json={})
    user.step("is refused his record", "GET", "/me", 401)
    user.sign_in("signs in again")
    user.step("deletes himself", "DELETE", "/me", 200)
    user.sign_in("and cannot sign in", 403)
    admin.step("The administrator reactivates him", "POST", f"/users/{made['id']}/reactivate", 200)
    user.sign_in("he signs in")
    user.step("and edits his name", "PATCH", "/me", 200, json={"first_name": "Augusta", "last_name": "King"})


def token(person: Person) -> dict[str, str]:
    pair = person.http.post("/auth/login", json=person.login).raise_for_status().json()
    return {"Authorization": f"Bearer {pair['access_token']}"}


if __name__ == "__main__":
    main()
