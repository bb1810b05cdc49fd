"""POST of the catalogue: modules of other systems."""

from typing import Annotated

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import END, Body
from api.openapi import problems
from application.module import ModuleInvalid, ModuleIsOwn, Modules
from domain.module.commands import RegisterModule

Word = Annotated[
    str,
    Meta(
        pattern=rf"^[a-z][a-z0-9_-]{{0,62}}{END}",
        examples=["site"],
        description="a lower-case letter, then letters, digits, _ and -; at most 63",
    ),
]
Words = Annotated[tuple[Word, ...], Meta(min_length=1, max_length=100)]


class RegisterModuleBody(Body, frozen=True, kw_only=True):
    """What can be granted in another system, in scopes `<scope type>/<an id of its own>`, and always in `global/*`."""

    module: Word
    actions: Words
    scope_types: Words


def routes(modules: Modules) -> Router:
    @post("/catalogue", responses=problems(ModuleIsOwn, ModuleInvalid))
    async def register_module(
        request: Asked,
        data: JSONBody[RegisterModuleBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Register another system's module; again with other lists, these count from then on."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await modules.register(as_command(data, RegisterModule), asked))

    return Router("/permissions", route_handlers=[register_module], tags=["Grants"])
