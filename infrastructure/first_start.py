"""What a fresh installation has: the first administrator, reference data, and departments with their rights."""

from infrastructure.bootstrap import System, running
from infrastructure.security.passwords import Passwords
from infrastructure.settings import Settings
from infrastructure.shipped import reference_data
from infrastructure.shipped_departments import ship_departments


async def first_start(system: System) -> None:
    """Once and for ever: later starts find it there."""
    await first_admin(system)
    for kind, entries in reference_data():
        await system.references.load(kind, entries)
    await ship_departments(system)


async def first_admin(system: System) -> None:
    """The first administrator, if the settings name a password."""
    if system.settings.admin_password:
        passwords = Passwords()
        password_hash = await passwords.hash(system.settings.admin_password)
        passwords.close()
        await system.users.ensure_admin(system.settings.admin_email, password_hash)


async def start(settings: Settings) -> None:
    """The same without an API."""
    async with running(settings) as system:
        await first_start(system)
