"""A user's three questions for each command: what follows, who is refused, and when nothing changes."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.file.guards import BINDING
from domain.shared import Claim, Forgotten, Principal, SessionsEnded
from domain.user.account import Erased
from domain.user.aggregate import USER
from domain.user.commands import (
    BlockUser,
    ChangeNotifications,
    ChangePassword,
    ChangeRole,
    ChangeUser,
    DeactivateUser,
    EraseUser,
    ExportUser,
    ProvisionUser,
    ReactivateUser,
    RecordSync,
    RegisterUser,
    ResetPassword,
    SignOutEverywhere,
    UnblockUser,
)
from domain.user.events import (
    UserBlocked,
    UserChanged,
    UserDeactivated,
    UserErased,
    UserExported,
    UserNotificationsChanged,
    UserPasswordChanged,
    UserPasswordReset,
    UserReactivated,
    UserRegistered,
    UserRoleChanged,
    UserSignedOut,
    UserUnblocked,
)
from domain.user.guards import ACTIVE, ADMIN, EMAIL, IDENTITY, STAFF_NUMBER, guards
from domain.user.refusals import (
    AboveYou,
    EmailTaken,
    UserIsBlocked,
    UserIsDeactivated,
    UserIsErased,
    UserUnknown,
)
from tests.scenario import given

ANNA = UserRegistered(email="anna@example.org", first_name="Anna", last_name="Berg", role="user")
BOSS = UserRegistered(email="boss@example.org", first_name="Boss", role="admin")
BLOCKED, GONE = UserBlocked(reason="left"), UserDeactivated()


def test_a_user_is_registered_as_asked():
    asked = RegisterUser(email="anna@example.org", first_name="Anna", last_name="Berg", role="user")
    given(USER).when(asked).then(ANNA)


def test_an_account_is_opened_once():
    given(USER, ANNA).when(RegisterUser(email="x@example.org", role="user")).then_refused(EmailTaken)


@pytest.mark.parametrize(
    ("role", "by_role"),
    [("admin", "moderator"), ("admin", "user"), ("moderator", "user"), ("moderator", "client")],
)
def test_nobody_makes_a_colleague_above_himself(role, by_role):
    asked = RegisterUser(email="x@example.org", role=role, by_role=by_role)
    given(USER).when(asked).then_refused(AboveYou)
    given(USER, ANNA).when(ChangeRole(role=role, by_role=by_role)).then_refused(AboveYou)


def test_nobody_takes_a_role_above_his_own_away():
    chief = UserRoleChanged(role="moderator", active=True)
    given(USER, ANNA, chief).when(ChangeRole(role="user", by_role="user")).then_refused(AboveYou)
    given(USER, ANNA, chief).when(ChangeRole(role="user", by_role="moderator")).then(
        UserRoleChanged(role="user", active=True)
    )


@pytest.mark.parametrize(
    "command",
    [
        ChangeUser(changes={}),
        ChangePassword(),
        ResetPassword(by_role="admin"),
        ChangeRole(role="user", by_role="admin"),
        BlockUser(reason="r", by_role="admin"),
        UnblockUser(by_role="admin"),
        DeactivateUser(),
        ReactivateUser(by_role="admin"),
        SignOutEverywhere(),
    ],
)
def test_who_is_not_there_is_unknown(command):
    given(USER).when(command).then_refused(UserUnknown)


def test_only_what_changed_is_told():
    asked = ChangeUser(changes={"first_name": "Anna", "phone": "+33 1 40", "patronymic": None})
    given(USER, ANNA).when(asked).then(UserChanged(phone="+33 1 40"))


def test_the_same_profile_again_changes_nothing():
    given(USER, ANNA).when(ChangeUser(changes={"last_name": "Berg"})).then_nothing()


def test_a_cleared_field_is_told_as_none():
    asked = ChangeUser(changes={"last_name": None})
    given(USER, ANNA).when(asked).then(UserChanged(last_name=None))


def test_a_password_change_keeps_the_session_it_came_from():
    given(USER, ANNA).when(ChangePassword()).then(UserPasswordChanged())


def test_staff_resets_a_password():
    given(USER, ANNA).when(ResetPassword(by_role="moderator")).then(UserPasswordReset())


@pytest.mark.parametrize("role", ["moderator", "admin"])
def test_a_moderator_resets_passwords_below_himself_only(role):
    target = UserRegistered(email="m@example.org", role=role)
    given(USER, target).when(ResetPassword(by_role="moderator")).then_refused(AboveYou)


def test_a_role_is_changed():
    given(USER, ANNA).when(ChangeRole(role="moderator", by_role="admin")).then(
        UserRoleChanged(role="moderator")
    )


def test_the_role_of_a_blocked_user_changes_without_letting_him_in():
    asked = ChangeRole(role="admin", by_role="admin")
    given(USER, ANNA, BLOCKED).when(asked).then(UserRoleChanged(role="admin", active=False))


def test_the_same_role_again_changes_nothing():
    given(USER, ANNA).when(ChangeRole(role="user", by_role="admin")).then_nothing()


@pytest.mark.parametrize(
    "command",
    [
        ChangeUser(changes={"first_name": "X"}, by_role="moderator"),
        ChangeRole(role="user", by_role="moderator"),
        BlockUser(reason="r", by_role="moderator"),
        UnblockUser(by_role="moderator"),
        DeactivateUser(by_role="moderator"),
        ReactivateUser(by_role="moderator"),
        ResetPassword(by_role="user"),
    ],
)
def test_a_moderator_never_touches_an_administrator(command):
    given(USER, BOSS).when(command).then_refused(AboveYou)


def test_a_moderator_makes_nobody_an_administrator():
    given(USER, ANNA).when(ChangeRole(role="admin", by_role="moderator")).then_refused(AboveYou)


def test_a_user_is_blocked_with_the_reason():
    given(USER, ANNA).when(BlockUser(reason="left", by_role="admin")).then(BLOCKED)


def test_a_block_twice_changes_nothing():
    given(USER, ANNA, BLOCKED).when(BlockUser(reason="again", by_role="admin")).then_nothing()


def test_a_deactivated_account_is_not_blocked():
    given(USER, ANNA, GONE).when(BlockUser(reason="r", by_role="admin")).then_refused(UserIsDeactivated)


def test_an_unblock_restores_the_role_of_before():
    given(USER, BOSS, BLOCKED).when(UnblockUser(by_role="admin")).then(UserUnblocked(role="admin"))


def test_an_unblock_of_nobody_blocked_changes_nothing():
    given(USER, ANNA).when(UnblockUser(by_role="admin")).then_nothing()


def test_a_user_leaves_himself_whatever_his_role():
    given(USER, BOSS).when(DeactivateUser()).then(GONE)


def test_leaving_twice_changes_nothing():
    given(USER, ANNA, GONE).when(DeactivateUser()).then_nothing()


def test_a_deactivated_account_is_opened_again():
    given(USER, ANNA, GONE).when(ReactivateUser(by_role="admin")).then(UserReactivated(role="user"))


def test_an_active_account_needs_no_reactivation():
    given(USER, ANNA).when(ReactivateUser(by_role="admin")).then_nothing()


def test_a_blocked_account_is_unblocked_not_reactivated():
    given(USER, ANNA, BLOCKED).when(ReactivateUser(by_role="admin")).then_refused(UserIsBlocked)


def test_all_sessions_end_at_once():
    given(USER, ANNA).when(SignOutEverywhere()).then(UserSignedOut())


# --- forgotten -----------------------------------------------------------------------------------------------------

NOW = datetime(2026, 5, 3, tzinfo=UTC)
ERASE, ERASED = EraseUser(reason="asked for it", by_role="admin"), UserErased(reason="asked for it")


@pytest.mark.parametrize("before", [(), (BLOCKED,), (GONE,)])
def test_whoever_he_is_by_then_he_is_forgotten_but_for_his_role(before):
    assert given(USER, ANNA, *before).when(ERASE).then(ERASED) == Erased(role="user")


def test_forgotten_twice_is_forgotten_once():
    given(USER, ANNA, ERASED).when(ERASE).then_nothing()


def test_only_an_administrator_forgets_one():
    asked = EraseUser(reason="x", by_role="moderator")
    given(USER, BOSS).when(asked).then_refused(AboveYou)


@pytest.mark.parametrize(
    "command",
    [
        ChangeUser(changes={"phone": "+33 1"}),
        ChangePassword(),
        ResetPassword(by_role="admin"),
        ChangeRole(role="admin", by_role="admin"),
        BlockUser(reason="x", by_role="admin"),
        UnblockUser(by_role="admin"),
        DeactivateUser(by_role="admin"),
        ReactivateUser(by_role="admin"),
        SignOutEverywhere(),
        ExportUser(),
        ProvisionUser(now=NOW, issuer="https://sso.example.org", sub="anna", is_active=True),
    ],
)
def test_nothing_more_happens_to_who_was_forgotten(command):
    given(USER, ANNA, ERASED).when(command).then_refused(UserIsErased)


def test_what_a_provider_reports_of_him_is_not_noted():
    heard = RecordSync(now=NOW, issuer="https://sso.example.org")
    given(USER, ANNA, ERASED).when(heard).then_nothing()


def test_that_his_data_was_given_out_is_told_and_changes_nothing():
    assert given(USER, ANNA).when(ExportUser()).then(UserExported()).email == ANNA.email


def test_he_lets_go_of_all_that_was_his():
    kept = {guard for guard in guards(UUID(int=1), ERASED) if not isinstance(guard, Claim)}
    claims = {guard.kind: guard.values for guard in guards(UUID(int=1), ERASED) if isinstance(guard, Claim)}
    assert claims == dict.fromkeys((EMAIL, STAFF_NUMBER, IDENTITY, BINDING, ADMIN, ACTIVE), ())
    principal = Principal(state="erased", department_id=None, must_change_password=False)
    assert kept == {principal, SessionsEnded(), Forgotten()}


def choosing(*events, **changes):
    return given(USER, ANNA, *events).when(ChangeNotifications(changes=changes))


def test_one_chooses_what_to_be_told_by_mail_each_kind_once():
    chosen = UserNotificationsChanged(mail=("letter.due", "account"))
    choosing(mail=["account", "letter.due", "account"]).then(chosen)
    choosing(chosen, mail=["account", "letter.due"]).then_nothing()
    choosing(chosen, mail=None, language="fr").then(UserNotificationsChanged(mail=None, language="fr"))
    choosing(mail=[]).then(UserNotificationsChanged(mail=()))
    choosing(mail=None, language=None).then_nothing()


def test_a_choice_outlives_a_block_and_binds_nothing():
    chosen = UserNotificationsChanged(mail=())
    state = choosing(chosen, BLOCKED, language="ru").then(UserNotificationsChanged(language="ru"))
    assert (state.mail, state.language) == ((), "ru")
    assert guards(UUID(int=1), chosen) == ()


def test_who_is_not_there_or_was_forgotten_chooses_nothing():
    given(USER).when(ChangeNotifications(changes={"mail": []})).then_refused(UserUnknown)
    choosing(UserErased(reason="asked for"), mail=[]).then_refused(UserIsErased)
