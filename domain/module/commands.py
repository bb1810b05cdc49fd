"""What one may ask of modules of other systems."""

from domain.module.events import Details
from domain.shared import Command


class RegisterModule(Details, Command, frozen=True, kw_only=True):
    """Again with other lists: these count from then on."""


ModuleCommand = RegisterModule
