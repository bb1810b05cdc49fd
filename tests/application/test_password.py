"""Rules for passwords: every broken one is named at once, by a code that stays."""

import pytest

from application.password import PasswordPolicy, PasswordRefused, fold

PLAIN = PasswordPolicy()
SEED_A = PasswordPolicy(min_length=8, needs=("upper", "digit_or_special"))
SEED_E = PasswordPolicy(
    min_length=8,
    max_length=29,
    needs=("digit", "special"),
    special_characters="@?!%$^+",
    forbidden_characters=" ,`|/\\{}[]*:;",
)
ANNA = ("anna.berg@example.org", "Anna", "Berg", "Ivanovna", "A-0042")


def wrong(password: str, policy: PasswordPolicy = PLAIN, **more) -> list[str]:
    """The codes of what is refused."""
    try:
        policy.check(password, pointer="/password", **more)
    except PasswordRefused as refused:
        return [error.code for error in refused.errors if error.pointer == "/password"]
    return []


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse battery staple", "twelve chars", "x7" * 6, "🐎" * 256, "пустынный караван идёт"),
        *("    a b c    ", "ﬁ" * 6, "-" * 11 + "a"),
    ],
)
def test_any_characters_will_do(password):
    assert wrong(password) == []


@pytest.mark.parametrize(
    ("password", "code"),
    [
        *(("eleven char", "too_short"), ("ﬁ" * 5, "too_short"), ("🐎" * 257, "too_long")),
        *(("ﬃ" * 100, "too_long"), ("e\u0301" * 6 + "abcde", "too_short")),
    ],
)
def test_length_is_counted_in_code_points_of_the_normal_form(password, code):
    assert code in wrong(password)


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("password123", ["needs_upper"]),
        ("Password", ["needs_digit_or_special"]),
        ("password", ["needs_upper", "needs_digit_or_special"]),
        ("Password123", []),
        ("Password!", []),
    ],
)
def test_the_rule_of_seed_a(password, missing):
    assert wrong(password, SEED_A) == missing


@pytest.mark.parametrize(
    ("password", "missing"),
    [
        ("@pplepie94", []),
        ("applepie94", ["needs_special"]),
        ("#pplepie94", ["needs_special"]),
        ("@pplepie", ["needs_digit"]),
        ("@pple pie94", ["forbidden_character"]),
        ("@pplepie94;" + "x" * 19, ["too_long", "forbidden_character"]),
        ("pie*", ["too_short", "needs_digit", "needs_special", "forbidden_character"]),
    ],
)
def test_the_rule_of_seed_e(password, missing):
    assert wrong(password, SEED_E) == missing


def test_a_small_letter_can_be_asked_for_too():
    assert wrong("ALL CAPITALS HERE", PasswordPolicy(needs=("lower",))) == ["needs_lower"]


@pytest.mark.parametrize("password", ["letmeinletmein", "LetMeInLetMeIn", "ｌｅｔｍｅｉｎletmein"])
def test_a_common_password_is_compared_as_a_whole_and_folded(password):
    policy = PasswordPolicy(common=frozenset({"letmeinletmein"}))
    assert wrong(password, policy) == ["common"]
    assert wrong(password + " dear keeper", policy) == []


@pytest.mark.parametrize(
    "password",
    [
        *(
            "anna.berg@example.org",
            "Anna.Berg2026",
            "annaberg2026",
            "ANNAANNAANNA",
            "bergbergberg1",
            "berg anna !?",
        ),
        *("a-0042a-00421", "IVANOVNA1967", "ａｎｎａberg1234"),
    ],
)
def test_what_others_know_of_one_is_no_password(password):
    assert wrong(password, own=ANNA) == ["own_name"]


def test_a_name_may_be_a_small_part():
    assert wrong("anna walks her three dogs", own=ANNA) == []
    assert wrong("lily of the valley", own=(None, "Li", "Wu", None, "7")) == []


@pytest.mark.parametrize("password", ["chancerychancery", "Chancery2026!", "chancery-chancery"])
def test_the_name_of_the_product_is_no_password(password):
    assert wrong(password) == ["product_name"]


def test_the_present_password_is_refused_with_everything_else_that_is_wrong():
    assert wrong("short", is_old=True) == ["too_short", "unchanged"]


def test_folding_knows_no_case_and_no_width():
    assert fold("Straße") == fold("STRASSE") == fold("ｓｔｒａｓｓｅ")
