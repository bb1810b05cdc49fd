"""Passwords are kept as argon2id hashes (RFC 9106), made and checked in a bounded pool: never a password in a log."""

import os
from pathlib import Path
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from psycopg_pool import AsyncConnectionPool

from application.password import PasswordPolicy, form
from infrastructure.bounded import Bounded
from infrastructure.settings import Settings

COMMON = Path(__file__).parent.parent.parent / "data" / "common_passwords.txt"

MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
"""OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, two passes, one lane; about 17 ms of one core."""


class Passwords:
    """How long a password may be is the caller's to judge: whatever comes is hashed whole."""

    def __init__(self, *, threads: int = 2, waiting: int = 16) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._run = Bounded("passwords", threads=threads, waiting=waiting)
        self._nobodys = self._hasher.hash(os.urandom(32))

    async def hash(self, password: str) -> str:
        """A PHC string with a salt of its own. Raises Busy."""
        return await self._run(self._hasher.hash, _bytes(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """With None, an unknown login, it takes as long as with a hash and answers False. Raises Busy."""
        right = await self._run(self._matches, stored or self._nobodys, _bytes(password))
        return right and stored is not None

    def needs_rehash(self, stored: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._run.close()

    def _matches(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerifyMismatchError:
            return False


def policy_of(settings: Settings) -> PasswordPolicy:
    return PasswordPolicy(
        min_length=settings.password_min_length,
        max_length=settings.password_max_length,
        needs=settings.password_needs,
        special_characters=settings.password_special_characters,
        forbidden_characters=settings.password_forbidden_characters,
        common=frozenset(COMMON.read_text(encoding="utf-8").split()),
    )


class PasswordHashes:
    """Implements application.proof.Hashes."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def replace(self, user_id: UUID, stored: str, new: str) -> None:
        """One statement: a password that is changed at the same time stays changed."""
        async with self._pool.connection() as connection:
            await connection.execute(
                "update credentials set password_hash = %s where user_id = %s and password_hash = %s",
                (new, user_id, stored),
            )


def _bytes(password: str) -> bytes:
    return form(password).encode()
