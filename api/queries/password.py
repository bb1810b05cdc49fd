"""The rules for passwords, for everybody who is about to choose one."""

from typing import Any

from litestar import Router, get
from msgspec import Struct

from api.answers import Answer, json_answer
from api.auth import Lane


class PasswordRules(Struct, frozen=True, kw_only=True):
    """The rules in force. Lengths in characters; a refusal's `errors` name the broken rules.

    `special_characters`: those that count as special; empty: all but letters, digits and spaces. `common_passwords`:
    how many are refused because too many people use them.
    """

    min_length: int
    max_length: int
    needs_upper: bool
    needs_lower: bool
    needs_digit: bool
    needs_special: bool
    needs_digit_or_special: bool
    special_characters: str
    forbidden_characters: str
    common_passwords: int
    refuses: tuple[str, ...] = ("common", "own_name", "product_name", "unchanged")


def routes(policy: Any, anybody: Lane) -> Router:
    """`policy`: what stands in the settings, application.password.PasswordPolicy."""
    rules = PasswordRules(
        min_length=policy.min_length,
        max_length=policy.max_length,
        needs_upper="upper" in policy.needs,
        needs_lower="lower" in policy.needs,
        needs_digit="digit" in policy.needs,
        needs_special="special" in policy.needs,
        needs_digit_or_special="digit_or_special" in policy.needs,
        special_characters=policy.special_characters,
        forbidden_characters=policy.forbidden_characters,
        common_passwords=len(policy.common),
    )

    @get("/password-policy", security=[{}])
    async def password_policy() -> Answer[PasswordRules]:
        """What a password must be here."""
        return json_answer(rules)

    return Router("/auth", route_handlers=[password_policy], before_request=anybody, tags=["Authentication"])
