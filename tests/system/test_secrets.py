"""After a day's work nothing that opens anything lies about, in logs, tables, files, exports; docs/hostile.md, K10."""

from uuid import uuid4

import pytest

from tests import servers, whole

INTERNAL = "the secret of all our services"


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("secrets"), CHANCERY_INTERNAL_SECRET=INTERNAL) as running:
        yield running


def test_nothing_that_opens_anything_is_left_lying_about(chancery):
    name, secrets = used(chancery)
    exported = chancery.data_dir.parent / "log.ndjson"
    chancery.run("audit", "export", str(exported))
    places = {"log": chancery.log.read_bytes(), "export": exported.read_bytes()}
    places |= {name: text.encode() for name, text in tables(chancery)}
    places |= {
        str(path): path.read_bytes()
        for path in chancery.data_dir.rglob("*")
        if path.is_file() and "secrets" not in path.relative_to(chancery.data_dir).parts
    }
    found = {
        (name, place)
        for name, secret in secrets.items()
        for place, content in places.items()
        if secret.encode() in content or secret.encode().hex().encode() in content
    }
    assert found == set()
    assert name.encode().hex().encode() in places["public.stored_events"], "this is where one would find it"


def used(chancery) -> tuple[str, dict[str, str]]:
    """A public name, and secrets: each used as it should be, misspelt, and where it never belongs."""
    with chancery.signed_in() as admin, chancery.client() as stranger:
        made = admin.post("/api-clients", json={"name": "A program"}).raise_for_status().json()
        keys = {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]}
        assert stranger.get("/permissions/catalogue", headers=keys).status_code == 200
        wrong = keys["X-API-Key"][:-9] + "AAAAAAAAA"
        for headers in (keys | {"X-API-Key": wrong}, {"Authorization": f"Bearer {made['api_key']}"}):
            assert stranger.get("/permissions/catalogue", headers=headers).status_code == 401
        for path in (f"/organisations/{made['api_key']}", f"/organisations?api_key={made['api_key']}"):
            assert stranger.get(path, headers=keys).status_code in (400, 403, 404)
        assert (
            stranger.post("/auth/login", json={"login": made["api_key"], "password": INTERNAL}).status_code
            == 401
        )

        body = {"email": f"{uuid4()}@example.org", "first_name": "A", "last_name": "B"}
        temporary = admin.post("/users", json=body).raise_for_status().json()["temporary_password"]
        pair = stranger.post("/auth/login", json={"login": body["email"], "password": temporary})
        tokens = pair.raise_for_status().json()
        stranger.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).raise_for_status()
        upsert = {"sub": "somebody", "issuer": "default"}
        service = {"X-Internal-Secret": INTERNAL}
        stranger.post("/internal/users/upsert-by-sub", json=upsert, headers=service).raise_for_status()
    return made["client_key"], {
        "password": whole.PASSWORD,
        "internal": INTERNAL,
        "key": made["api_key"],
        "temporary": temporary,
        "access": tokens["access_token"],
        "refresh": tokens["refresh_token"],
    }


def tables(chancery) -> list[tuple[str, str]]:
    """Every table as text, which no compression hides."""
    with chancery.superuser() as database:
        names = database.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        return [
            (
                name,
                database.execute(f"select coalesce(string_agg(t::text, ' '), '') from {name} t").fetchone()[
                    0
                ],
            )
            for (name,) in names
        ]
