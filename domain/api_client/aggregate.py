"""An API client: a program with keys of its own, that may ask on certain terms until it is disabled."""

from datetime import datetime, timedelta
from typing import ClassVar, assert_never

from msgspec import UNSET, Struct, convert, structs, to_builtins

from domain.api_client.commands import (
    AddApiKey,
    ApiClientCommand,
    ChangeApiClient,
    DisableApiClient,
    EnableApiClient,
    RegisterApiClient,
)
from domain.api_client.events import (
    ApiClientChanged,
    ApiClientDisabled,
    ApiClientEnabled,
    ApiClientEvent,
    ApiClientKeyAdded,
    ApiClientRegistered,
    ApiKey,
    Terms,
)
from domain.api_client.lists import canonical, faults
from domain.shared import DomainError, Kind, Rules

MOST_KEYS = 5
"""How many keys may open something at one time."""


class Nothing(Struct, frozen=True):
    """No such client, yet."""


class Active(Struct, frozen=True, kw_only=True):
    terms: Terms
    keys: tuple[ApiKey, ...]


class Disabled(Struct, frozen=True, kw_only=True):
    terms: Terms
    keys: tuple[ApiKey, ...]


ApiClient = Nothing | Active | Disabled


class ApiClientUnknown(DomainError):
    """No API client has this id."""

    code: ClassVar[str] = "api_client.unknown"
    kind: ClassVar[Kind] = Kind.MISSING


class ApiClientKeyTaken(DomainError):
    """Another API client has this client key."""

    code: ClassVar[str] = "api_client.key_taken"
    kind: ClassVar[Kind] = Kind.CONFLICT


class ApiClientInvalid(DomainError):
    """An entry of an allow-list is none, or a hash is of no kind that is taken; `errors` says which."""

    code: ClassVar[str] = "api_client.invalid"
    kind: ClassVar[Kind] = Kind.INVALID


class TooManyKeys(DomainError):
    """Five keys are in use already; add one with `overlap_hours` 0, or wait until one retires."""

    code: ClassVar[str] = "api_client.too_many_keys"
    kind: ClassVar[Kind] = Kind.CONFLICT


def decide(client: ApiClient, command: ApiClientCommand) -> tuple[ApiClientEvent, ...]:
    match command:
        case RegisterApiClient():
            return register(client, command)
        case ChangeApiClient():
            return change(_known(client).terms, command)
        case AddApiKey():
            keys = rotated(_known(client).keys, command)
            return (ApiClientKeyAdded(key_id=command.key_id, keys=keys),)
        case DisableApiClient():
            disables = isinstance(_known(client), Active)
            return (ApiClientDisabled(reason=command.reason),) if disables else ()
        case EnableApiClient():
            return (ApiClientEnabled(),) if isinstance(_known(client), Disabled) else ()
        case _:
            assert_never(command)


def _known(client: ApiClient) -> Active | Disabled:
    """Raises ApiClientUnknown."""
    if isinstance(client, Nothing):
        raise ApiClientUnknown("There is no such API client.")
    return client


def register(client: ApiClient, command: RegisterApiClient) -> tuple[ApiClientEvent, ...]:
    if not isinstance(client, Nothing):
        raise ApiClientKeyTaken("This id is taken.")
    terms = _sound(convert(command, Terms, from_attributes=True))
    return (
        ApiClientRegistered(
            **structs.asdict(terms),
            client_key=command.client_key,
            kind=command.kind,
            keys=(ApiKey(key_id=command.key_id, made_at=command.now),),
        ),
    )


def change(before: Terms, command: ChangeApiClient) -> tuple[ApiClientEvent, ...]:
    kept = {name: value for name, value in to_builtins(before).items() if name not in command.changes}
    given = {name: value for name, value in command.changes.items() if value is not None}
    after = _sound(convert(kept | given, Terms))
    new = {
        name: value for name in command.changes if (value := getattr(after, name)) != getattr(before, name)
    }
    return (ApiClientChanged(**new),) if new else ()


def _sound(terms: Terms) -> Terms:
    """Raises ApiClientInvalid."""
    if wrong := tuple(faults(terms)):
        raise ApiClientInvalid("An allow-list holds what is none of its kind.", errors=wrong)
    return canonical(terms)


def rotated(keys: tuple[ApiKey, ...], command: AddApiKey) -> tuple[ApiKey, ...]:
    """The new key last; those before it retire after the overlap, or sooner if that was said before."""
    until = command.now + timedelta(hours=command.overlap_hours)
    old = [
        structs.replace(key, retires_at=until if key.retires_at is None else min(key.retires_at, until))
        for key in keys
        if opens(key, command.now)
    ]
    if len([key for key in old if opens(key, command.now)]) >= MOST_KEYS:
        raise TooManyKeys("Five keys are in use already.")
    return (*old, ApiKey(key_id=command.key_id, made_at=command.now))


def opens(key: ApiKey, now: datetime) -> bool:
    return key.retires_at is None or now < key.retires_at


def evolve(client: ApiClient, event: ApiClientEvent) -> ApiClient:
    match event:
        case ApiClientRegistered():
            return Active(terms=convert(event, Terms, from_attributes=True), keys=event.keys)
        case ApiClientChanged():
            assert not isinstance(client, Nothing)
            new = {name: value for name, value in structs.asdict(event).items() if value is not UNSET}
            return structs.replace(client, terms=structs.replace(client.terms, **new))
        case ApiClientKeyAdded():
            assert not isinstance(client, Nothing)
            return structs.replace(client, keys=event.keys)
        case ApiClientDisabled():
            assert not isinstance(client, Nothing)
            return Disabled(terms=client.terms, keys=client.keys)
        case ApiClientEnabled():
            assert not isinstance(client, Nothing)
            return Active(terms=client.terms, keys=client.keys)
        case _:
            assert_never(event)


API_CLIENT: Rules[ApiClient, ApiClientCommand, ApiClientEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=ApiClientUnknown
)
