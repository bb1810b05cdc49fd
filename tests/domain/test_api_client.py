"""An API client's questions: what follows, what is refused, and when nothing changes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.api_client.aggregate import (
    API_CLIENT,
    ApiClientInvalid,
    ApiClientKeyTaken,
    ApiClientUnknown,
    TooManyKeys,
)
from domain.api_client.commands import (
    AddApiKey,
    ChangeApiClient,
    DisableApiClient,
    EnableApiClient,
    RegisterApiClient,
)
from domain.api_client.events import (
    ApiClientChanged,
    ApiClientDisabled,
    ApiClientEnabled,
    ApiClientKeyAdded,
    ApiClientRegistered,
    ApiKey,
)
from domain.api_client.guards import ACTIVE, CLIENT_KEY, guards
from domain.shared import Claim, Client, Principal
from tests.scenario import given

NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
WHO = {"name": "Back office", "client_key": "mkt", "kind": "server"}
FIRST = ApiKey(key_id="a", made_at=NOW)
REGISTERED = ApiClientRegistered(**WHO, keys=(FIRST,))
ADD = AddApiKey(now=NOW, key_id="b", overlap_hours=24)


def test_it_is_registered_once_with_addresses_in_one_form():
    wish = RegisterApiClient(
        **WHO, now=NOW, key_id="a", allowed_ips=("::ffff:10.0.0.1", "::ffff:10.0.0.0/104")
    )
    made = ApiClientRegistered(**WHO, keys=(FIRST,), allowed_ips=("10.0.0.1", "10.0.0.0/8"))
    given(API_CLIENT).when(wish).then(made)
    given(API_CLIENT, REGISTERED).when(wish).then_refused(ApiClientKeyTaken)


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:3000", "https://[::1]:8443"])
def test_an_origin_is_what_a_browser_sends(origin):
    wish = RegisterApiClient(**WHO, now=NOW, key_id="a", allowed_origins=(origin,))
    given(API_CLIENT).when(wish).then(ApiClientRegistered(**WHO, keys=(FIRST,), allowed_origins=(origin,)))


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        *(
            ("allowed_origins", each)
            for each in ("*", "null", "a.example", "https://a.example/x", "ftp://a", "")
        ),
        *(("allowed_ips", each) for each in ("*", "10.0.0.1/8", "10.0.0", "127.1", "10.0.0.0/33", "")),
    ],
)
def test_what_is_no_entry_is_refused_with_its_place(name, entry):
    wish = RegisterApiClient(**WHO, now=NOW, key_id="a", **{name: (entry,)})
    refused = given(API_CLIENT).when(wish).then_refused(ApiClientInvalid)
    assert [error.pointer for error in refused.errors] == [f"/{name}/0"]
    change = ChangeApiClient(changes={name: [entry]})
    given(API_CLIENT, REGISTERED).when(change).then_refused(ApiClientInvalid)


def test_only_what_is_new_is_a_change():
    change = ChangeApiClient(changes={"name": "Other", "rate_limit_per_min": 5, "allowed_ips": []})
    changed = ApiClientChanged(name="Other", rate_limit_per_min=5)
    given(API_CLIENT, REGISTERED).when(change).then(changed)
    given(API_CLIENT, REGISTERED, changed).when(change).then_nothing()
    cleared = ChangeApiClient(changes={"rate_limit_per_min": None})
    given(API_CLIENT, REGISTERED, changed).when(cleared).then(ApiClientChanged(rate_limit_per_min=None))
    given(API_CLIENT, REGISTERED).when(cleared).then_nothing()
    given(API_CLIENT).when(change).then_refused(ApiClientUnknown)


def test_an_old_key_retires_after_the_overlap_and_never_later_than_it_was_told():
    soon, later = NOW + timedelta(hours=24), NOW + timedelta(hours=720)
    old = ApiKey(key_id="a", made_at=NOW, retires_at=soon)
    added = ApiClientKeyAdded(key_id="b", keys=(old, ApiKey(key_id="b", made_at=NOW)))
    given(API_CLIENT, REGISTERED).when(ADD).then(added)
    longer = AddApiKey(now=NOW, key_id="c", overlap_hours=720)
    kept = (old, ApiKey(key_id="b", made_at=NOW, retires_at=later), ApiKey(key_id="c", made_at=NOW))
    given(API_CLIENT, REGISTERED, added).when(longer).then(ApiClientKeyAdded(key_id="c", keys=kept))
    given(API_CLIENT).when(ADD).then_refused(ApiClientUnknown)


def test_a_retired_key_is_left_out():
    gone = ApiKey(key_id="a", made_at=NOW, retires_at=NOW)
    added = ApiClientKeyAdded(key_id="b", keys=(gone, ApiKey(key_id="b", made_at=NOW)))
    last = AddApiKey(now=NOW, key_id="c", overlap_hours=0)
    kept = (ApiKey(key_id="b", made_at=NOW, retires_at=NOW), ApiKey(key_id="c", made_at=NOW))
    given(API_CLIENT, REGISTERED, added).when(last).then(ApiClientKeyAdded(key_id="c", keys=kept))


def test_a_sixth_key_is_refused_unless_the_others_retire_now():
    five = tuple(ApiKey(key_id=name, made_at=NOW) for name in "abcde")
    full = ApiClientRegistered(**WHO, keys=five)
    more = AddApiKey(now=NOW, key_id="f", overlap_hours=1)
    given(API_CLIENT, full).when(more).then_refused(TooManyKeys)
    alone = AddApiKey(now=NOW, key_id="f", overlap_hours=0)
    after = given(API_CLIENT, full).when(alone)
    assert [key.retires_at for key in after.decided[0].keys] == [NOW] * 5 + [None]


def test_it_is_disabled_and_enabled_once_each():
    out, back = DisableApiClient(reason="leaked"), EnableApiClient()
    disabled = ApiClientDisabled(reason="leaked")
    given(API_CLIENT, REGISTERED).when(out).then(disabled)
    given(API_CLIENT, REGISTERED, disabled).when(out).then_nothing()
    given(API_CLIENT, REGISTERED, disabled).when(back).then(ApiClientEnabled())
    given(API_CLIENT, REGISTERED).when(back).then_nothing()
    for command in (out, back):
        given(API_CLIENT).when(command).then_refused(ApiClientUnknown)


def test_disabled_it_still_is_changed_and_gets_keys():
    known = (REGISTERED, ApiClientDisabled())
    given(API_CLIENT, *known).when(ChangeApiClient(changes={"name": "B"})).then(ApiClientChanged(name="B"))
    assert given(API_CLIENT, *known).when(ADD).decided


def test_its_guards_say_who_it_is_and_whether_it_may_act():
    one = UUID(int=1)
    named, acting, principal, terms = guards(one, REGISTERED)
    assert (named, acting) == (
        Claim(kind=CLIENT_KEY, values=("mkt",)),
        Claim(kind=ACTIVE, values=(str(one),)),
    )
    assert (principal.role, principal.state) == ("client", "active")
    assert (terms.key_ids, terms.keys_retire_at) == (("a",), (None,))
    assert guards(one, ApiClientDisabled()) == (Claim(kind=ACTIVE, values=()), Principal(state="inactive"))
    assert guards(one, ApiClientEnabled()) == (acting, Principal(state="active"))
    assert guards(one, ApiClientChanged(allowed_ips=())) == (Client(allowed_ips=()),)
