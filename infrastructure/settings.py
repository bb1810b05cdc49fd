"""Settings: one frozen struct, read from flags, environment, files and the running stack."""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from infrastructure import settings_sources as sources_of
from infrastructure.settings_consul import ROOT as CONSUL_ROOT
from infrastructure.settings_consul import from_consul
from infrastructure.settings_deployment import put_passwords
from infrastructure.settings_parts import Secret, Servers, limit_disagreements
from infrastructure.settings_rules import RULES, password_disagreements
from infrastructure.settings_sources import PREFIX, Mistake
from infrastructure.settings_watching import Watching

MASK = "********"
GENERATED = ("key_encryption_key", "admin_password")
"""What `up` makes in `<data_dir>/secrets/` when nobody has set it; production mode refuses these."""


class Settings(Watching, frozen=True, kw_only=True):
    """All that can be set; an empty string means: not set. `sources` says where each value came from."""

    mode: Annotated[
        Literal["development", "production"], Meta(description="production refuses secrets made by `up`")
    ] = "development"
    host: Annotated[str, Meta(description="address the API listens on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="port of the API; 0 takes a free one")] = 8400
    data_dir: Annotated[Path, Meta(description="where the embedded servers keep data and secrets")] = Path(
        ".chancery"
    )
    s3_bucket: Annotated[str, Meta(description="S3 bucket")] = "chancery"
    s3_region: Annotated[str, Meta(description="S3 region")] = "us-east-1"
    s3_secure: Annotated[bool, Meta(description="talk https to the S3 server")] = False
    s3_public_endpoint: Annotated[
        str, Meta(description="S3 server as callers reach it, for presigned addresses; unset = s3_endpoint")
    ] = ""
    attachment_limit: Annotated[int, Meta(ge=1, le=5_000_000_000, description="bytes of an attachment")] = (
        20 << 20
    )
    document_limit: Annotated[int, Meta(ge=1, le=5_000_000_000, description="bytes of a document")] = (
        100 << 20
    )
    image_limit: Annotated[
        int, Meta(ge=1, le=5_000_000_000, description="bytes of an avatar or a notice's image")
    ] = 5 << 20
    import_limit: Annotated[int, Meta(ge=1, le=5_000_000_000, description="bytes of a file to import")] = (
        1 << 30
    )
    admin_email: Annotated[str, Meta(description="login of the first admin")] = "admin@chancery.local"
    admin_password: Annotated[Secret, Meta(description="password of the first admin")] = ""
    password_min_length: Annotated[
        int, Meta(ge=8, le=256, description="characters a password has at least")
    ] = 12
    password_max_length: Annotated[
        int, Meta(ge=8, le=256, description="characters a password has at most")
    ] = 256
    password_needs: Annotated[
        tuple[Literal["upper", "lower", "digit", "special", "digit_or_special"], ...],
        Meta(description="kinds of character a password must have; none = any will do"),
    ] = ()
    password_special_characters: Annotated[
        str, Meta(description="which count as special; unset = all but letters, digits and spaces")
    ] = ""
    password_forbidden_characters: Annotated[
        str, Meta(description="characters that no password may have")
    ] = ""
    registration: Annotated[
        Literal["open", "closed"], Meta(description="whether strangers may open an account")
    ] = "closed"
    internal_secret: Annotated[
        Secret, Meta(description="X-Internal-Secret of /internal/*; unset = closed")
    ] = ""
    key_encryption_key: Annotated[
        Secret, Meta(description="32 bytes in base64: wraps every subject's key")
    ] = ""
    public_url: Annotated[str, Meta(description="how callers reach the API; the issuer of its tokens")] = ""
    root_path: Annotated[str, Meta(description="path that a proxy puts in front")] = ""
    seller_name: Annotated[str, Meta(description="who issues the invoices")] = ""
    seller_address: Annotated[str, Meta(description="the address on the invoices")] = ""
    seller_identifiers: Annotated[
        tuple[str, ...],
        Meta(description="what registers know the seller by: siren=732829320, vat=FR39732829320"),
    ] = ()
    seller_note: Annotated[str, Meta(description="what the law wants said on the invoices, of taxes say")] = (
        ""
    )
    time_zone: Annotated[str, Meta(description="zone of `today` and of the years in numbers")] = "UTC"
    email_domains: Annotated[tuple[str, ...], Meta(description="domains that may register; none = any")] = ()
    cors_origins: Annotated[tuple[str, ...], Meta(description="exact origins a browser may call from")] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], Meta(description="networks whose X-Forwarded-For counts")
    ] = ()
    oidc_issuers: Annotated[
        tuple[str, ...],
        Meta(
            description="outside issuers whose tokens are accepted: URLs, each maybe with"
            " audience=, jwks=, typ=, accept= behind it"
        ),
    ] = ()
    idp_admin_url: Annotated[str, Meta(description="admin API of the identity provider")] = ""
    idp_admin_token: Annotated[Secret, Meta(description="token for the identity provider's admin API")] = ""
    egrul_url: Annotated[str, Meta(description="look-up in the Russian company register")] = ""
    sirene_url: Annotated[str, Meta(description="look-up in the French company register")] = ""
    geo_url: Annotated[str, Meta(description="look-up of postal addresses")] = ""
    smtp_url: Annotated[
        Secret,
        Meta(
            description="server that takes mail to people: smtp(s)://[user:password@]host[:port], maybe with"
            " ?starttls=required|offered|never, ca=FILE; unset = no mail"
        ),
    ] = ""
    mail_from: Annotated[
        str,
        Meta(description="address that mail to people comes from; unset = chancery@ the host of public_url"),
    ] = ""
    http_workers: Annotated[int, Meta(ge=1, le=64, description="processes that serve the API")] = 1
    requests_per_minute: Annotated[
        int, Meta(ge=1, le=10_000_000, description="requests of a signed-in person")
    ] = 60_000
    stranger_requests_per_minute: Annotated[
        int, Meta(ge=1, le=10_000_000, description="requests of an address to what is open to anybody")
    ] = 6_000
    session_days: Annotated[int, Meta(ge=1, le=365, description="days a session lives at most")] = 30
    session_idle_days: Annotated[int, Meta(ge=1, le=365, description="days a session lives unused")] = 7
    cli_session_days: Annotated[
        int, Meta(ge=1, le=730, description="days a session of a command line lives at most")
    ] = 180
    cli_session_idle_days: Annotated[
        int, Meta(ge=1, le=730, description="days a session of a command line lives unused")
    ] = 90
    signing_key_days: Annotated[
        int, Meta(ge=1, le=730, description="days after which another key signs the access tokens")
    ] = 90
    tile_copy: Annotated[
        Literal["hashes", "entries", "off"],
        Meta(
            description="what of the log is copied to the bucket: hashes and checkpoints, its entries, too, or nothing"
        ),
    ] = "hashes"
    witnesses: Annotated[
        tuple[str, ...],
        Meta(description="who cosigns checkpoints (C2SP tlog-witness): a URL, a space, a key, for each"),
    ] = ()
    check_hours: Annotated[
        int,
        Meta(ge=0, le=720, description="hours between two checks of guards, read models and log; 0 = never"),
    ] = 24
    sources: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """`public_url`, else the address the API listens on. It is also the issuer of access tokens."""
        return self.public_url or f"http://{self.host}:{self.port}{self.root_path}"

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={masked(name, getattr(self, name))!r}' for name in SETTINGS)})"


class SettingsError(Exception):
    """Every mistake found in the settings, at once; a secret's value is never part of it."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(f"{name} ({source}): {problem}" for name, source, problem in mistakes))


SETTINGS: tuple[str, ...] = tuple(name for name in Settings.__struct_fields__ if name != "sources")
SERVERS: tuple[str, ...] = Servers.__struct_fields__
TYPES: dict[str, Any] = get_type_hints(Settings, include_extras=True)
DESCRIPTIONS: dict[str, str] = {
    name: meta.description or "" for name in SETTINGS for meta in TYPES[name].__metadata__ if meta.description
}
SECRETS = frozenset(name for name in SETTINGS if any(meta.extra for meta in TYPES[name].__metadata__))
# The names hosting platforms set; they rank below the prefixed ones.
BARE = tuple(name for name in SETTINGS if name in SERVERS or name.startswith("s3_"))


def masked(name: str, value: object) -> object:
    """The value as it may be shown: secrets, and passwords inside URLs, are hidden."""
    if name in SECRETS:
        return MASK if value else value
    password = urlsplit(value).password if isinstance(value, str) and "://" in value else None
    return str(value).replace(f":{password}@", f":{MASK}@") if password else value


def environment(settings: Settings) -> dict[str, str]:
    """The settings as CHANCERY_* variables, for a child process: every user of the machine can read argv."""
    default = Settings()
    values = {
        name: getattr(settings, name)
        for name in SETTINGS
        if getattr(settings, name) != getattr(default, name)
        or settings.sources.get(name, "default") != "default"
    }
    return {
        PREFIX + name.upper(): ",".join(v) if isinstance(v, tuple) else str(v) for name, v in values.items()
    }


def for_child(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that is to have these very settings: files and Consul are not asked again."""
    said = {PREFIX + name.upper() for name in SETTINGS}
    sources = {*said, *(f"{variable}_FILE" for variable in said), sources_of.SECRETS_DIR, CONSUL_ROOT}
    return {name: value for name, value in environ.items() if name not in sources} | environment(settings)


def load(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    toml_path: Path | None = None,
    *,
    needed: Collection[str] | None = None,
) -> Settings:
    """Flags > CHANCERY_X, or CHANCERY_X_FILE > X (servers only) > files of CHANCERY_SECRETS_DIR > chancery.toml >
    Consul > the running stack > default. An empty value counts as not set.

    `needed`: what production mode wants set, of the servers and the key; else all. Raises SettingsError with every
    mistake.
    """
    environ = os.environ if environ is None else environ
    mistakes: list[Mistake] = []
    values: dict[str, Any] = {}
    sources = dict.fromkeys(SETTINGS, "default")

    def take(found: sources_of.Found) -> None:
        for name, where, value in found:
            if value not in ("", None) and name not in values:
                values[name], sources[name] = _converted(name, where, value, mistakes), where

    take(sources_of.from_flags(flags or {}))
    take(sources_of.from_environment(environ, SETTINGS, BARE, mistakes))
    take(sources_of.from_secrets_dir(environ, SETTINGS, mistakes))
    take(sources_of.from_toml(toml_path, environ, SETTINGS, mistakes))
    take(from_consul(environ, SETTINGS, mistakes))
    data_dir = (values.get("data_dir") or Settings().data_dir).expanduser().absolute()
    take(sources_of.from_data_dir(data_dir, SERVERS, GENERATED, set(values)))
    values["data_dir"] = data_dir
    mistakes += put_passwords(values, sources)
    # One outside URL is enough to start with: it then serves the owner, or the relay, too.
    take([(name, f"as {weaker}", values.get(weaker)) for weaker, name in _STRONGER.items()])
    mistakes += _disagreements(
        values, sources, (*SERVERS, "key_encryption_key") if needed is None else needed
    )
    if mistakes:
        raise SettingsError(mistakes)
    return Settings(sources=sources, **values)


_STRONGER = {"database_url": "database_owner_url", "nats_url": "nats_relay_url"}


def _converted(name: str, where: str, value: object, mistakes: list[Mistake]) -> Any:
    if isinstance(value, str) and get_origin(get_args(TYPES[name])[0]) is tuple:
        value = [part.strip() for part in value.split(",") if part.strip()]
    if name == "data_dir" and isinstance(value, (str, Path)):
        return Path(value)
    try:
        converted = msgspec.convert(value, TYPES[name], strict=False)
    except msgspec.ValidationError as error:
        mistakes.append(Mistake(name, where, "is not right: " + str(error)))
        return None
    parts = converted if isinstance(converted, tuple) else (converted,)
    problems = [RULES[name](part) for part in parts if name in RULES]
    mistakes.extend(Mistake(name, where, problem) for problem in problems if problem)
    return converted


def _disagreements(
    values: Mapping[str, Any], sources: Mapping[str, str], needed: Collection[str]
) -> Iterator[Mistake]:
    for weaker, stronger in _STRONGER.items():
        if values.get(stronger) and not values.get(weaker):
            yield Mistake(weaker, "not set", f"must be set when {stronger} is")
    yield from (Mistake(*mistake) for mistake in password_disagreements(values, sources))
    yield from (Mistake(*mistake) for mistake in limit_disagreements(values, sources))
    s3 = [name for name in SERVERS if name.startswith("s3_")]
    if any(values.get(name) for name in s3):
        yield from (
            Mistake(name, "not set", f"must be set with {', '.join(s3)}")
            for name in s3
            if not values.get(name)
        )
    if values.get("mode") == "production":
        for name in needed:
            if not values.get(name):
                yield Mistake(name, "not set", "must be set in production mode")
        for name, source in sources.items():
            if source in ("generated", "running stack"):
                yield Mistake(name, source, "was made by `chancery up`; production mode wants one of its own")
