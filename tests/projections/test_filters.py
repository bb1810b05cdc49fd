"""The filter language: what it means, what it refuses and how, and that PostgreSQL and Python agree on it."""

import contextlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from projections import filters
from projections.columns import Column, ColumnType, fold_text, trigrams
from projections.conditions import ListRefused
from tests.projections.things import COLUMNS, POOLS, Thing, make_table, put, rows_of

ON_DATABASE = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def refused(text: str) -> ListRefused:
    with pytest.raises(ListRefused) as caught:
        filters.compile(text, COLUMNS)
    assert caught.value.parameter == "filter"
    return caught.value


@pytest.fixture
def table(owner_dsn: str):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        make_table(connection)
        yield connection


def matching(connection: psycopg.Connection, text: str) -> set[Any]:
    condition = filters.compile(text, COLUMNS)
    assert condition is not None
    select = sql.SQL("select id from things where {}").format(condition.sql)
    return {row[0] for row in connection.execute(select, condition.parameters)}


# --- PostgreSQL and Python agree -----------------------------------------------------------------

Predicate = Callable[[Thing], bool]


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def same_text(name: str, text: str) -> str:
    return fold_text(text) if name == "name" else text


@st.composite
def values(draw: st.DrawFn, name: str) -> tuple[str, Any]:
    """A value as typed, and what it stands for."""
    value = draw(st.sampled_from(POOLS[name]))
    match value:
        case bool():
            words = ("true", "YES", "oui", "да") if value else ("false", "no", "non", "НЕТ")
            return draw(st.sampled_from(words)), value
        case datetime() if draw(st.booleans()):
            return draw(st.sampled_from([f"{value:%Y-%m-%d}", f"{value:%d-%m-%Y}"])), value.date()
        case datetime():
            offset = value + timedelta(hours=5)
            return draw(
                st.sampled_from(
                    [
                        value.isoformat(),
                        f"{value:%Y-%m-%dT%H:%M:%S.%fZ}",
                        f"{offset:%Y-%m-%dT%H:%M:%S.%f}+05:00",
                    ]
                )
            ), value
        case date():
            return draw(st.sampled_from([f"{value:%Y-%m-%d}", f"{value:%d-%m-%Y}"])), value
        case Decimal():
            return f"{value:f}", value
        case str():
            bare = value.isalnum() and value.lower() not in ("null", "none")
            return (value if bare and draw(st.booleans()) else quoted(value)), same_text(name, value)
        case _:
            return draw(st.sampled_from([str(value), str(value).upper(), quoted(str(value))])), value


def is_one(stored: Any, wanted: Any) -> bool:
    if isinstance(stored, datetime) and not isinstance(wanted, datetime):
        return stored is not None and wanted is not None and stored.date() == wanted
    return bool(stored == wanted)


def is_in_order(operator: str, stored: Any, wanted: Any) -> bool:
    if stored is None:
        return False
    first, after = wanted, None
    if isinstance(stored, datetime) and not isinstance(wanted, datetime):
        first = datetime.combine(wanted, time(), UTC)
        after = first + timedelta(days=1)
    match operator:
        case "<":
            return bool(stored < first)
        case "<=" | "=<":
            return bool(stored <= first if after is None else stored < after)
        case ">":
            return bool(stored > first if after is None else stored >= after)
        case _:
            return bool(stored >= first)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Predicate]:
    name = draw(st.sampled_from(sorted(POOLS)))
    asked = draw(st.sampled_from([name, name.upper(), *COLUMNS[name].aliases]))
    gap = draw(st.sampled_from(["", " ", "  "]))

    def stored(thing: Thing) -> Any:
        value = getattr(thing, name)
        return same_text(name, value) if isinstance(value, str) else value

    operator = draw(st.sampled_from(["=", "!=", ":", "<", "<=", "=<", ">", ">=", "=>"]))
    if name in ("flag", "tags") and operator not in ("=", "!=", ":"):
        operator = "="
    if operator in ("=", "!="):
        given_ = draw(
            st.lists(values(name) | st.just(("null", None)) | st.just(("None", None)), min_size=1, max_size=3)
        )
        text = given_[0][0] if len(given_) == 1 else f"[{f',{gap}'.join(typed for typed, _ in given_)}]"
        wanted = [value for _, value in given_]

        def equal(thing: Thing) -> bool:
            if name == "tags":
                return any(
                    value in (thing.tags or ()) if value is not None else not thing.tags for value in wanted
                )
            return any(is_one(stored(thing), value) for value in wanted)

        return (
            f"{asked}{gap}{operator}{gap}{text}",
            equal if operator == "=" else lambda thing: not equal(thing),
        )
    if operator == ":" and name in ("name", "code", "tags"):
        parts = draw(st.lists(values(name), min_size=1, max_size=2))
        text = parts[0][0] if len(parts) == 1 else f"[{','.join(typed for typed, _ in parts)}]"
        return (
            f"{asked}:{text}",
            lambda thing: stored(thing) is not None and all(value in stored(thing) for _, value in parts),
        )
    typed, value = draw(values(name))
    if operator == ":" and name == "state":
        return f"{asked}{gap}:{typed}", lambda thing: value in thing.state
    if operator == ":":
        return f"{asked}{gap}:{typed}", lambda thing: is_one(stored(thing), value)
    return f"{asked}{gap}{operator}{gap}{typed}", lambda thing: is_in_order(operator, stored(thing), value)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> tuple[str, Predicate]:
    kind = draw(st.sampled_from(["term", "not", "and", "or"])) if depth else "term"
    if kind == "term":
        return draw(comparisons())
    if kind == "not":
        text, holds = draw(trees(depth=depth - 1))
        word = draw(st.sampled_from(["NOT", "not", "non", "НЕ"]))
        return f"{word} ({text})", lambda thing: not holds(thing)
    parts = draw(st.lists(trees(depth=depth - 1), min_size=2, max_size=3))
    word = draw(st.sampled_from(["AND", "and", "et", "и"] if kind == "and" else ["OR", "or", "OU", "или"]))
    text = f" {word} ".join(f"({text})" for text, _ in parts)
    whole = all if kind == "and" else any
    return text, lambda thing: whole(holds(thing) for _, holds in parts)


def test_postgresql_and_python_agree_on_every_filter(table):
    @ON_DATABASE
    @given(
        rows_of(12),
        st.lists(trees(), min_size=1, max_size=6),
    )
    def check(rows, asked):
        table.execute("delete from things")
        put(table, rows)
        for text, holds in asked:
            if len(text) <= filters.LENGTH:
                assert matching(table, text) == {row.id for row in rows if holds(row)}, text

    check()


def test_postgresql_and_python_agree_on_each_comparison(table):
    @ON_DATABASE
    @given(rows_of(12), st.lists(comparisons(), min_size=10, max_size=20))
    def check(rows, asked):
        table.execute("delete from things")
        put(table, rows)
        for text, holds in asked:
            assert matching(table, text) == {row.id for row in rows if holds(row)}, text

    check()


# --- any text ------------------------------------------------------------------------------------

PIECES = r"""( ) [ ] , " ' \ = != < >= => : AND or и NOT не null None name amount at tags owner code id -1 true % _ ٣
1e5 NaN infinity ;-- 2026-03-01 31-02-2026 9999-12-31 0001-01-01T00:00:00+23:59 9999999999999999999999999"""


def test_any_text_is_a_filter_or_is_refused(table):
    @settings(ON_DATABASE, max_examples=400)
    @given(
        st.text(max_size=80)
        | st.lists(st.sampled_from([*PIECES.split(), " ", "\n", "\0", "\ud800"]), max_size=40).map("".join)
    )
    def check(text):
        with contextlib.suppress(ListRefused):
            if filters.compile(text, COLUMNS) is not None:
                matching(table, text)

    check()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 2_000, "filter_too_deep"),
        ("NOT " * 500, "filter_too_deep"),
        ("not(" * 500, "filter_too_deep"),
        ("[" * 2_000, "filter_too_deep"),
        (")" * 2_000, "filter_malformed"),
        ("a" * 2_001, "filter_too_large"),
        (" and ".join(["count=1"] * 51), "filter_too_large"),
        ('code="' + "\\" * 1_990, "filter_malformed"),
    ],
)
def test_hostile_filters_are_refused_at_once(text, code):
    assert refused(text).code == code


def test_what_is_just_within_the_limits_is_taken():
    assert filters.compile("(" * 10 + "count=1" + ")" * 10, COLUMNS)
    assert filters.compile("NOT " * 10 + "count=1", COLUMNS)
    assert filters.compile(" and ".join(["NOT count=1"] * 50), COLUMNS)
    assert filters.compile("code=" + "\\" * 1_990, COLUMNS)
    assert filters.compile("code=[" + ",".join(["x"] * 900) + "]", COLUMNS)


# --- what is refused, and how it is said ---------------------------------------------------------


def test_mixing_and_and_or_shows_where_and_both_readings():
    refusal = refused('name:"x y" et count=2 OR flag=non')
    assert (refusal.code, refusal.column) == ("filter_ambiguous", 23)
    assert '`(name:"x y" AND count=2) OR flag=non`' in refusal.detail
    assert '`name:"x y" AND (count=2 OR flag=non)`' in refusal.detail


def test_mixing_inside_parentheses_is_noticed_too():
    assert refused("count=1 AND (count=2 or count=3 and count=4)").code == "filter_ambiguous"


def test_an_unknown_field_gets_a_suggestion():
    refusal = refused("count=1 and nmae=x")
    assert (refusal.code, refusal.column) == ("filter_unknown_field", 13)
    assert "did you mean `name`?" in refusal.detail


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("count=", 7, "a value"),
        ("count", 6, "an operator"),
        ("count=1 and", 12, "a field"),
        ("count=1 count=2", 9, "AND or OR or the end"),
        ("(count=1", 9, ")"),
        ("count=1)", 8, "the end"),
        ("code='x'", 6, "double quotes"),
        ('code="x', 6, "double quotes"),
        ("code=two words", 10, "AND or OR or the end"),
        ("code=[]", 7, "a value"),
        ("amount>==0", 9, "a value"),
        ("= 5", 1, "a field"),
        ('code="\0"', 7, "NUL"),
    ],
)
def test_a_malformed_filter_is_told_where_and_what_was_expected(text, column, expected):
    refusal = refused(text)
    assert (refusal.code, refusal.column) == ("filter_malformed", column)
    assert expected in refusal.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count=one", "a whole number"),
        ("count=1.5", "a whole number"),
        ("count=" + "9" * 30, "a whole number"),
        ("amount>1e5", "a number such as"),
        ("amount=NaN", "a number such as"),
        ("amount=٣", "a number such as"),
        ("flag=maybe", "true or false"),
        ("flag<true", "= and !="),
        ("day=2026-02-30", "a date"),
        ("day=2026-03-01T00:00:00Z", "a date"),
        ("at>2026-03-01T00:00:00", "an instant"),
        ("at<9999-12-31", "an instant"),
        ("owner=42", "an id"),
        ("state=sined", "one of draft, signed, canceled"),
        ("count<null", "= and !="),
        ("count<[1,2]", "= and !="),
        ("count:[1,2]", "one value"),
        ("name:null", "text"),
        ("tags>a", "= and !="),
    ],
)
def test_a_value_of_another_type_names_the_expected_one(text, expected):
    refusal = refused(text)
    assert refusal.code == "filter_wrong_type"
    assert expected in refusal.detail
    assert f"(column {refusal.column})" in refusal.detail


def test_a_column_that_is_not_filterable_does_not_exist():
    columns = {"secret": Column(type=ColumnType.TEXT, get=repr, filterable=False)}
    with pytest.raises(ListRefused):
        filters.compile("secret=x", columns)


# --- what it means -------------------------------------------------------------------------------


def test_an_empty_filter_sets_no_condition():
    assert filters.compile("", COLUMNS) is None
    assert filters.compile(" \n", COLUMNS) is None


def test_values_are_bound_and_never_pasted():
    condition = filters.compile("""name:"'; drop table things; --" AND code=["%s", "{}"]""", COLUMNS)
    assert condition is not None
    written = condition.sql.as_string(None)
    assert "drop" not in written
    assert written.count("%s") == len(condition.parameters)


def test_the_seeds_filters_are_understood():
    condition = filters.compile("state=signed et full_amount_to_pay =>0", COLUMNS)
    assert condition is not None
    assert condition.parameters == ("signed", Decimal(0))


ROWS = {
    "elka": Thing(id=UUID(int=1), name="Ёлка-сервис", code="IN-1", tags=("vip", "old"), count=-5, flag=True),
    "soc": Thing(id=UUID(int=2), name="Société 100%", code="in-1", tags=("vip",), count=0, state="signed"),
    "none": Thing(id=UUID(int=3)),
    "late": Thing(
        id=UUID(int=4), at=datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC), tags=(), flag=False
    ),
    "next": Thing(id=UUID(int=5), at=datetime(2026, 3, 2, tzinfo=UTC), name='a_b "c" \\d', code="a,b]"),
}


FOUND = {
    "name:ЁЛК": "elka",
    "name:лка-СЕР": "elka",
    "name:[сервис,ёл]": "elka",
    'name="елка-СЕРВИС"': "elka",
    "name:societe": "soc",
    "name:0%": "soc",
    "name:%": "soc",
    "name:_b": "next",
    r'name:"\"C\" \\"': "next",
    "code=IN-1": "elka",
    "code:IN": "elka",
    "code=[IN-1, in-1]": "elka soc",
    'code="a,b]"': "next",
    "state:SIGN": "",
    "state=SIGNED": "soc",
    "tags:vip": "elka soc",
    "tags:[vip,old]": "elka",
    "tags=[vip,old]": "elka soc",
    "tags!=old": "soc none late next",
    "tags=null": "none late next",
    "count<0": "elka",
    "count=<0": "elka soc",
    "count!=0": "elka none late next",
    "NOT count>=0": "elka none late next",
    "count!=0 and count!=null": "elka",
    "count=[0,null]": "soc none late next",
    "flag=oui OR flag=НЕТ": "elka late",
    "at=2026-03-01": "late",
    "at=yes": "late next",
    "at=НЕТ": "elka soc none",
    "at!=oui": "elka soc none",
    "at:1": "late next",
    "at=[no, 2026-03-01]": "elka soc none late",
    "day=false AND at=true": "late next",
    "at<=01-03-2026": "late",
    "at>2026-03-01": "next",
    "at>=2026-03-02T03:00:00+03:00": "next",
    "(name:елка ИЛИ code=in-1) ET NOT count=0": "elka",
}


def test_a_filter_finds_what_its_words_say(table):
    put(table, list(ROWS.values()))
    names = {row.id: name for name, row in ROWS.items()}
    for text, found in FOUND.items():
        assert {names[each] for each in matching(table, text)} == set(found.split()), text


def test_the_system_columns_are_fields_of_every_list(table):
    put(table, [Thing(id=POOLS["owner"][1])])
    assert matching(
        table, f"id={POOLS['owner'][1]} and version=1 and created_at=01-01-2026 and updated_at<2027-01-01"
    )


def test_folding_twice_is_folding_once_and_grams_are_runs_of_three():
    assert all(fold_text(folded) == folded for folded in map(fold_text, map(chr, range(0x3000))))
    assert fold_text("Société «ЁЛКА» Straße") == "societe «елка» strasse"
    assert trigrams("Ёлка") == ["елк", "лка"]
    assert trigrams("ab") == []
