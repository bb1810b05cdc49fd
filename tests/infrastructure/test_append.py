"""The log's own rules, asked in SQL: what `append` accepts, what it refuses and why, and what nobody may do."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import errors

from tests.appending import (
    ACCEPTED,
    CLAIM_TAKEN,
    ERASED,
    KEY_SEEN,
    LEAVES_NONE,
    MOVED,
    STALE_ACCESS,
    STORED_ALREADY,
    VERSION_CONFLICT,
    Wish,
    append,
)

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def log(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner(owner_dsn):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        yield connection


def rows(connection, query, *values):
    return connection.execute(query, values).fetchall()


def positions(connection):
    return [p for (p,) in rows(connection, "select notification_id from stored_events order by 1")]


def claims(connection):
    return rows(connection, "select kind, value, owner from claims order by 1, 2")


def opened(user, *, expires_at=NOW + HOUR):
    return {"opened": [{"user_id": user, "proved_at": NOW, "expires_at": expires_at}]}


def principal(**changed):
    return {"principals": [{"changes": changed}]}


CLERK = dict(role="clerk", state="active", department_id=None, must_change_password=False)


def right(**changed):
    row = dict(
        subject_kind="user",
        subject_id=uuid4(),
        scope_type="global",
        scope_id="",
        module="contract",
        action="sign",
    )
    return {"rights": [row | dict(grantable=False, not_before=None, expires_at=None) | changed]}


# --- positions and versions ----------------------------------------------------------------------------------


def test_an_empty_log_begins_at_one(log):
    answer = append(log, Wish(events=2), Wish(events=1))
    assert (answer.head, answer.verdicts) == (0, [ACCEPTED, ACCEPTED])
    assert positions(log) == [1, 2, 3]


def test_positions_follow_the_order_of_the_call(log):
    first, second = Wish(events=2), Wish(events=2)
    append(log, first, second)
    stored = rows(log, "select originator_id, originator_version from stored_events order by notification_id")
    assert stored == [(first.stream, 1), (first.stream, 2), (second.stream, 1), (second.stream, 2)]


def test_a_refused_command_neither_fails_its_neighbours_nor_leaves_a_hole(log):
    before, refused, after = (
        Wish(events=2, key=b"1"),
        Wish(expected=7, key=b"2", takes=(("e", "x"),)),
        Wish(key=b"3"),
    )
    assert append(log, before, refused, after).verdicts == [ACCEPTED, VERSION_CONFLICT, ACCEPTED]
    assert positions(log) == [1, 2, 3]
    assert rows(log, "select key, position from receipts order by key") == [(b"1", 2), (b"3", 3)]
    assert claims(log) == []


def test_a_call_without_commands_changes_nothing(log):
    assert append(log).head == 0
    assert positions(log) == []


def test_of_many_racing_commands_on_one_stream_one_wins(log, dsn):
    stream = uuid4()

    def race(_):
        with psycopg.connect(dsn, autocommit=True) as mine:
            return append(mine, Wish(stream), Wish()).verdicts

    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(race, range(24)))
    assert sorted(first for first, _ in verdicts) == [ACCEPTED] + [VERSION_CONFLICT] * 23
    assert {second for _, second in verdicts} == {ACCEPTED}
    assert positions(log) == list(range(1, 26))


def test_a_reader_never_sees_a_later_position_before_an_earlier_one(log, dsn):
    with (
        psycopg.connect(dsn) as slow,
        psycopg.connect(dsn, autocommit=True) as quick,
        ThreadPoolExecutor(1) as threads,
    ):
        append(slow, Wish())  # holds the lock, not committed
        waiting = threads.submit(append, quick, Wish())
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while not rows(log, waits)[0][0]:
            assert not waiting.done()
        assert positions(log) == []
        slow.commit()
        assert waiting.result().head == 1
    assert positions(log) == [1, 2]


def test_recorded_at_never_goes_back(log, owner):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    owner.execute(
        "insert into stored_events values (%s, 1, 't', '', 1, %s, %s, '')", (uuid4(), uuid4(), tomorrow)
    )
    assert append(log, Wish()).at == tomorrow
    assert rows(log, "select max(recorded_at) from stored_events") == [(tomorrow,)]


def test_all_events_of_a_call_share_its_moment(log):
    answer = append(log, Wish(events=2), Wish())
    assert rows(log, "select distinct recorded_at from stored_events") == [(answer.at,)]


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize(
    "call",
    [
        lambda log: append(log, Wish()),
        lambda log: log.execute("select append_as_given('{}','{}','{}','{}','')"),
    ],
)
def test_any_other_isolation_is_refused(log, level, call):
    log.execute(f"set default_transaction_isolation = '{level}'")
    with pytest.raises(errors.InvalidTransactionState, match="READ COMMITTED"):
        call(log)


# --- keys and retries ----------------------------------------------------------------------------------------


def test_a_seen_key_is_told_and_writes_nothing(log):
    append(log, Wish(key=b"k", fingerprint=b"one"))
    assert append(log, Wish(key=b"k", fingerprint=b"two"), Wish()).verdicts == [KEY_SEEN, ACCEPTED]
    assert positions(log) == [1, 2]


def test_a_receipt_tells_the_last_position_and_version(log):
    append(log, Wish())
    wish = Wish(events=3, key=b"k", fingerprint=b"print")
    append(log, Wish(), wish)
    told = rows(
        log, "select key, fingerprint, stream_id, version, position, status, extra, actor_id from receipts"
    )
    assert told == [(b"k", b"print", wish.stream, 3, 5, 201, b"{}", wish.actor)]


def test_a_command_that_changes_nothing_leaves_a_receipt_of_the_present_version(log):
    stream = uuid4()
    append(log, Wish(stream, events=2))
    append(log, Wish(), Wish(stream, events=0, expected=2, key=b"k"))
    assert rows(log, "select version, position from receipts") == [(2, 2)]
    assert positions(log) == [1, 2, 3]


def test_a_retry_after_a_lost_answer_is_known_by_its_event(log):
    lost, other = Wish(events=2), Wish()
    append(log, lost)
    assert append(log, lost, other, again=True).verdicts == [STORED_ALREADY, ACCEPTED]
    assert positions(log) == [1, 2, 3]


def test_a_retry_of_what_was_never_stored_is_accepted(log):
    assert append(log, Wish(key=b"k"), again=True).verdicts == [ACCEPTED]


def test_the_same_event_id_is_never_stored_twice(log):
    twin = uuid4()
    append(log, Wish(ids=[twin]))
    with pytest.raises(errors.UniqueViolation):
        append(log, Wish(ids=[twin]))


# --- access --------------------------------------------------------------------------------------------------


def test_a_live_session_of_the_same_version_may_write(log):
    session = Wish(guards=opened(uuid4()))
    append(log, session)
    assert append(log, Wish(session=(session.stream, 1))).verdicts == [ACCEPTED]


def test_a_session_that_is_over_may_not_write(log):
    user = uuid4()
    live, lapsed, ended = (
        Wish(guards=opened(user)),
        Wish(guards=opened(user, expires_at=NOW - HOUR)),
        Wish(guards=opened(user)),
    )
    append(log, live, lapsed, ended)
    append(log, Wish(ended.stream, expected=1, guards={"ended": [{}]}))
    tried = [(live.stream, 2), (lapsed.stream, 1), (ended.stream, 1), (ended.stream, 2), (uuid4(), 1)]
    answer = append(log, *(Wish(session=session) for session in tried), Wish())
    assert answer.verdicts == [STALE_ACCESS] * len(tried) + [ACCEPTED]


def test_a_changed_principal_makes_access_of_his_sessions_stale(log):
    user, mine, anothers = uuid4(), uuid4(), uuid4()
    append(log, Wish(mine, guards=opened(user)), Wish(anothers, guards=opened(uuid4())))
    append(log, Wish(user, guards=principal(**CLERK)))
    assert append(
        log, Wish(session=(mine, 1)), Wish(session=(mine, 2)), Wish(session=(anothers, 1))
    ).verdicts == [
        STALE_ACCESS,
        ACCEPTED,
        ACCEPTED,
    ]


def test_what_a_principals_change_does_not_name_stays(log):
    user, department = uuid4(), uuid4()
    append(log, Wish(user, guards=principal(**CLERK | {"department_id": department})))
    append(log, Wish(user, expected=1, guards=principal(role="admin")))
    assert rows(log, "select * from principals") == [(user, "admin", "active", department, False)]
    append(log, Wish(user, expected=2, guards=principal(department_id=None)))
    assert rows(log, "select role, department_id from principals") == [("admin", None)]


def test_a_proved_password_makes_access_stale_and_is_kept(log):
    session = uuid4()
    append(log, Wish(session, guards=opened(uuid4())))
    append(log, Wish(session, expected=1, guards={"proved": [{"proved_at": NOW + HOUR}]}))
    assert rows(log, "select proved_at, access_version from sessions") == [(NOW + HOUR, 2)]


def test_all_sessions_of_a_user_end_but_the_kept_one(log):
    user, kept, gone, anothers = (uuid4() for _ in range(4))
    append(log, *(Wish(s, guards=opened(u)) for s, u in ((kept, user), (gone, user), (anothers, uuid4()))))
    append(log, Wish(user, guards={"all_ended": [{"keep": kept}]}))
    assert rows(log, "select session_id from sessions where ended") == [(gone,)]
    append(log, Wish(user, expected=1, guards={"all_ended": [{"keep": None}]}))
    assert {s for (s,) in rows(log, "select session_id from sessions where ended")} == {gone, kept}


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({}, ACCEPTED),
        ({"not_before": NOW - HOUR, "expires_at": NOW + HOUR}, ACCEPTED),
        ({"not_before": NOW + HOUR}, STALE_ACCESS),
        ({"expires_at": NOW - HOUR}, STALE_ACCESS),
    ],
)
def test_a_right_holds_within_its_time(log, limits, verdict):
    grant = uuid4()
    append(log, Wish(grant, guards=right(**limits)))
    assert append(log, Wish(allowed=grant)).verdicts == [verdict]


def test_a_right_that_is_gone_allows_nothing(log):
    grant = uuid4()
    append(log, Wish(grant, guards=right()))
    append(log, Wish(grant, expected=1, guards={"rights_gone": [{}]}))
    assert append(log, Wish(allowed=grant), Wish(allowed=uuid4())).verdicts == [STALE_ACCESS, STALE_ACCESS]


# --- claims --------------------------------------------------------------------------------------------------


def test_a_taken_claim_is_refused_and_its_owner_told(log):
    holder = Wish(takes=(("email", "a"),))
    append(log, holder)
    answer = append(log, Wish(), Wish(takes=(("email", "b"), ("email", "a"))))
    assert answer.verdicts == [ACCEPTED, CLAIM_TAKEN]
    assert answer.details == {"2": {"kind": "email", "value": "a", "owner": str(holder.stream)}}
    assert claims(log) == [("email", "a", holder.stream)]


def test_a_claim_is_free_for_its_own_stream_and_of_another_kind(log):
    holder = uuid4()
    append(log, Wish(holder, takes=(("email", "a"),)))
    again, other = Wish(holder, expected=1, takes=(("email", "a"),)), Wish(takes=(("login", "a"),))
    assert append(log, again, other).verdicts == [ACCEPTED, ACCEPTED]


def test_a_released_claim_may_be_taken_by_another(log):
    holder, heir = uuid4(), uuid4()
    append(log, Wish(holder, takes=(("email", "a"), ("email", "b"), ("login", "a"))))
    append(log, Wish(holder, expected=1, guards={"released": [{"kind": "email", "kept": ["b"]}]}))
    assert append(log, Wish(heir, takes=(("email", "a"),))).verdicts == [ACCEPTED]
    assert claims(log) == [("email", "a", heir), ("email", "b", holder), ("login", "a", holder)]


def test_a_claim_is_changed_in_one_command(log):
    holder = uuid4()
    append(log, Wish(holder, takes=(("email", "a"),)))
    append(
        log,
        Wish(
            holder,
            expected=1,
            takes=(("email", "b"),),
            guards={"released": [{"kind": "email", "kept": ["b"]}]},
        ),
    )
    assert claims(log) == [("email", "b", holder)]


def test_a_refused_command_releases_nothing(log):
    holder = uuid4()
    append(log, Wish(holder, takes=(("email", "a"),)))
    refused = Wish(holder, expected=5, guards={"released": [{"kind": "email", "kept": []}]})
    assert append(log, refused).verdicts == [VERSION_CONFLICT]
    assert claims(log) == [("email", "a", holder)]


# --- what a decision relied on -------------------------------------------------------------------------------


def test_a_stream_that_was_read_and_moved_is_told(log):
    read = uuid4()
    append(log, Wish(read, events=2))
    told = [{"reads": [{"stream": read, "version": version}]} for version in (1, 2)]
    nothing = {"reads": [{"stream": uuid4(), "version": 0}]}
    answer = append(log, *(Wish(conditions=each) for each in (*told, nothing)))
    assert answer.verdicts == [MOVED, ACCEPTED, ACCEPTED]


def test_required_claims_must_stand_with_their_owner(log):
    holder = uuid4()
    append(log, Wish(holder, takes=(("member", "a"),)))
    wanted = [("member", "a", holder), ("member", "a", uuid4()), ("member", "b", holder)]
    wishes = [
        Wish(conditions={"require": [dict(zip(("kind", "value", "owner"), each, strict=True))]})
        for each in wanted
    ]
    assert append(log, *wishes).verdicts == [ACCEPTED, MOVED, MOVED]


def test_claims_required_to_be_absent_must_be(log):
    append(log, Wish(takes=(("file", "a"),)))
    wishes = [Wish(conditions={"require_none": [{"kind": "file", "value": value}]}) for value in ("a", "b")]
    assert append(log, *wishes).verdicts == [MOVED, ACCEPTED]


def test_the_last_of_a_kind_may_not_go(log):
    one, two = uuid4(), uuid4()
    append(log, Wish(one, takes=(("admin", str(one)),)), Wish(two, takes=(("admin", str(two)),)))

    def goes(stream, expected):
        rule = {
            "conditions": {"keep_one": [{"kind": "admin"}]},
            "guards": {"released": [{"kind": "admin", "kept": []}]},
        }
        return append(log, Wish(stream, expected=expected, **rule)).verdicts

    assert goes(one, 1) == [ACCEPTED]
    assert goes(two, 1) == [LEAVES_NONE]
    assert claims(log) == [("admin", str(two), two)]


# --- keys of persons -----------------------------------------------------------------------------------------


def test_a_subjects_key_comes_with_its_first_sealed_event(log):
    subject = uuid4()
    assert append(log, Wish(seals=((subject, b"key"),))).verdicts == [ACCEPTED]
    assert append(log, Wish(seals=((subject, b"key"),)), Wish(seals=((subject, None),))).verdicts == [
        ACCEPTED,
        ACCEPTED,
    ]
    assert rows(log, "select subject_id, wrapped from subject_keys") == [(subject, b"key")]


def test_another_key_for_the_same_subject_or_a_missing_one_means_seal_again(log):
    subject = uuid4()
    append(log, Wish(seals=((subject, b"key"),)))
    assert append(log, Wish(seals=((subject, b"other"),)), Wish(seals=((uuid4(), None),))).verdicts == [
        MOVED,
        MOVED,
    ]


def test_an_erased_subject_gets_no_more_events(log, owner):
    subject = uuid4()
    append(log, Wish(seals=((subject, b"key"),)))
    owner.execute("update subject_keys set wrapped = null, destroyed_at = now()")
    for wrapped in (None, b"key", b"new"):
        assert append(log, Wish(seals=((subject, wrapped),))).verdicts == [ERASED]


def test_a_refused_command_leaves_no_key(log):
    append(log, Wish(expected=3, seals=((uuid4(), b"key"),)))
    assert rows(log, "select * from subject_keys") == []


# --- the rarer guards ----------------------------------------------------------------------------------------


def test_a_responsible_is_set_changed_and_taken_away(log):
    record, first, second = uuid4(), uuid4(), uuid4()
    for expected, user in enumerate((first, second)):
        append(log, Wish(record, expected=expected, guards={"responsibles": [{"user_id": user}]}))
        assert rows(log, "select record_id, user_id from responsibles") == [(record, user)]
    append(log, Wish(record, expected=2, guards={"responsibles": [{"user_id": None}]}))
    assert rows(log, "select * from responsibles") == []


def test_credentials_and_refresh_secrets_stand_beside_the_events(log):
    user, session = uuid4(), uuid4()
    credentials = {"credentials": [{"user_id": user, "password_hash": "$argon2id$1"}]}
    append(
        log,
        Wish(user, guards=principal(**CLERK) | credentials),
        Wish(session, guards={"refreshes": [{"secret": "c2VjcmV0"}]}),
    )
    credentials["credentials"][0]["password_hash"] = "$argon2id$2"
    append(log, Wish(user, expected=1, guards=credentials))
    assert rows(log, "select user_id, password_hash from credentials") == [(user, "$argon2id$2")]
    assert rows(log, "select session_id, generation, secret from refreshes") == [(session, 1, b"secret")]


def test_a_refused_command_writes_no_guard_of_any_kind(log):
    guards = (
        right()
        | principal(**CLERK)
        | opened(uuid4())
        | {
            "responsibles": [{"user_id": uuid4()}],
            "credentials": [{"user_id": uuid4(), "password_hash": "x"}],
            "refreshes": [{"secret": "c2VjcmV0"}],
        }
    )
    assert append(log, Wish(expected=9, key=b"k", guards=guards), Wish()).verdicts == [
        VERSION_CONFLICT,
        ACCEPTED,
    ]
    for table in ("rights", "principals", "sessions", "responsibles", "credentials", "refreshes", "receipts"):
        assert rows(log, f"select * from {table}") == [], table


def test_the_first_reason_is_the_one_told(log):
    holder = uuid4()
    append(log, Wish(holder, key=b"k", takes=(("email", "a"),)))
    both = dict(takes=(("email", "a"),), conditions={"reads": [{"stream": holder, "version": 0}]})
    assert append(log, Wish(key=b"k", expected=5, **both)).verdicts == [KEY_SEEN]
    assert append(log, Wish(expected=5, **both)).verdicts == [VERSION_CONFLICT]
    assert append(log, Wish(**both)).verdicts == [CLAIM_TAKEN]


# --- what nobody may do --------------------------------------------------------------------------------------

WRITES = [
    "insert into {} default values",
    "update {} set {column} = {column}",
    "delete from {}",
    "truncate {}",
]
GUARDS = "claims principals sessions rights responsibles"
KEPT = f"stored_events epochs {GUARDS} credentials receipts subject_keys migrations"


@pytest.mark.parametrize("table", KEPT.split())
@pytest.mark.parametrize("write", WRITES)
def test_the_application_writes_no_log_and_no_guard_by_hand(log, table, write):
    (column,) = rows(
        log, "select attname from pg_attribute where attrelid = %s::regclass and attnum = 1", table
    )[0]
    with pytest.raises(errors.InsufficientPrivilege):
        log.execute(write.format(table, column=column))


@pytest.mark.parametrize("function", ["apply_guards('{}', '{}', '{}', now())"])
def test_the_application_calls_nothing_beside_append(log, function):
    with pytest.raises(errors.InsufficientPrivilege):
        log.execute(f"select {function}")


@pytest.mark.parametrize(
    "change", ["update stored_events set topic = 'x'", "delete from stored_events", "truncate stored_events"]
)
def test_not_even_the_owner_changes_the_log(log, owner, change):
    append(log, Wish())
    with pytest.raises(errors.InsufficientPrivilege, match="append-only"):
        owner.execute(change)
    assert positions(log) == [1]


@pytest.mark.parametrize(
    "hidden", ["create table public.stored_events_2 ()", "create temp table claims (x int)"]
)
def test_the_application_cannot_stand_in_the_way_of_append(log, hidden):
    """Objects of the same name elsewhere on the caller's path are not what a definer's function meets."""
    try:
        log.execute(hidden)
    except errors.InsufficientPrivilege:
        return
    log.execute("set search_path = pg_temp, public")
    holder = Wish(takes=(("email", "a"),))
    append(log, holder)
    assert rows(log, "select owner from public.claims") == [(holder.stream,)]
