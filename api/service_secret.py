"""The service secret: a program of ours beside Chancery says `X-Internal-Secret`, on /internal/* and nowhere else."""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from litestar import Request

from api.problems import Problem, Unavailable
from application.access import Caller, service

HEADER = b"x-internal-secret"


class InternalSecretNotConfigured(Unavailable):
    """This installation has no service secret, so nobody is let in by it."""

    code, status = "internal_secret_not_configured", 503

    def __init__(self) -> None:
        super().__init__(retry_after=60)


class InvalidInternalSecret(Problem):
    """This address needs the service secret in `X-Internal-Secret`, or an API client."""

    code, status = "invalid_internal_secret", 401

    def __init__(self) -> None:
        super().__init__(headers={"www-authenticate": "InternalSecret"})


class ServiceSecret:
    """Implements api.auth.Way. Compared by digests, so that neither length nor content tells in time."""

    def __init__(self, secret: str) -> None:
        self._digest = sha256(secret.encode()).digest() if secret else None

    def offered(self, headers: Mapping[bytes, bytes]) -> bool:
        return HEADER in headers

    async def caller(self, request: Request[Any, Any, Any], *, fresh: bool) -> Caller:  # noqa: ARG002 - nothing is remembered
        """Raises InternalSecretNotConfigured, InvalidInternalSecret."""
        scope: Any = request.scope
        given = sha256(scope["h"][HEADER]).digest()
        if self._digest is None or not compare_digest(given, self._digest):
            raise self.missing()
        return service()

    def missing(self) -> Problem:
        """What is told who brings no credential, or a wrong one."""
        return InternalSecretNotConfigured() if self._digest is None else InvalidInternalSecret()
