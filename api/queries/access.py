"""Questions about rights in the shape of AuthZEN 1.0 (OpenID Authorization API): POST, but they only read."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from hashlib import blake2b
from typing import Any, Protocol
from uuid import UUID

import msgspec
from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Struct

from api import answers
from api.answers import Answer
from api.auth import caller_of
from api.conditions import PositionUnknown, min_position
from api.lists import LIST_PROBLEMS
from api.openapi import problems
from api.problems import BodyTooLarge, Problem
from api.queries.authzen import (
    UUID_FORM,
    ContextBody,
    EvaluationBody,
    EvaluationsBody,
    PartBody,
    SearchBody,
    SubjectBody,
    as_of,
    right,
    thing,
    whole,
)
from api.queries.explained import Evaluated, told
from api.queries.past import MomentMalformed
from api.queries.permission import auditor
from api.queries.records import Asked, Clock, MinPosition, Progress
from application.evaluation import Evaluations, Moment
from domain.user.refusals import UserNotFound
from projections.keyset import PageTokenMalformed, PageTokenMismatch
from projections.lists import LARGEST_PAGE
from projections.permission_change import projection

MOST_EVALUATIONS = 1_000
AT_ONCE = 64


class MomentUnknown(Problem):
    """That moment lies ahead, before the first event, or names an event that is not in the log."""

    code, status = "query.moment_unknown", 400


class EvaluatedAll(Struct, frozen=True, kw_only=True):
    evaluations: list[Evaluated]


class SubjectFound(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One who may, and by what: `grant`, or `allowed_by` his role. `expires_at`: until just before then."""

    type: str
    id: UUID
    properties: dict[str, Any]


class NextPage(Struct, frozen=True, kw_only=True):
    """An empty token: there is no more."""

    next_token: str
    count: int


class Subjects(Struct, frozen=True, kw_only=True):
    results: list[SubjectFound]
    page: NextPage
    context: dict[str, Any]


class People(Protocol):
    async def known(self, sub: str, issuer: str | None) -> UUID:
        """Raises UserNotFound."""
        ...


class Moments(Protocol):
    async def moment(self, as_of: datetime | int | UUID) -> Moment | None: ...


def routes(
    evaluations: Evaluations, moments: Moments, people: People, progress: Progress, clock: Clock
) -> Router:
    async def at_moment(context: ContextBody) -> Moment | None:
        if context.as_of is None:
            return None
        found = await moments.moment(as_of(context.as_of))
        if found is None:
            raise MomentUnknown
        return found

    async def who(subject: SubjectBody) -> UUID | None:
        if subject.type == "client":
            return UUID(subject.id) if UUID_FORM.fullmatch(subject.id) else None
        issuer = (subject.properties or {}).get("issuer")
        try:
            return await people.known(subject.id, issuer if isinstance(issuer, str) else None)
        except UserNotFound:
            return None

    async def decided(asked: EvaluationBody) -> Evaluated:
        context = asked.context
        found = await evaluations.decide(
            asked.subject.type,
            await who(asked.subject),
            right(asked.action, asked.resource),
            thing(asked.resource),
            await at_moment(context),
            proved_at=context.proved_at,
            explain=context.explain,
        )
        return told(found, explain=context.explain)

    async def enter(request: Asked, at_least: str | None) -> int:
        auditor(caller_of(request), clock())
        return await progress.written(min_position(at_least) or 0)

    @post("/evaluation", status_code=200, responses=problems(MomentMalformed, MomentUnknown, PositionUnknown))
    async def access_evaluation(
        request: Asked, data: JSONBody[EvaluationBody], at_least: MinPosition = None
    ) -> Answer[Evaluated]:
        """Could they do that? As the command would be judged: by role, state and grants, direct or of the department.

        **Action** `module:action`; `sign` alone means `<resource.type>:sign`. **Resource**: of our records (contact,
        contract, grant, organisation, user; by id, or a contract's custom id) we know ourselves in which organisation
        they lie and who answers for them, which is what `own/*` means; and who may not view the record may do nothing
        else with it. Any other type is a type of scope: to ask for `campaign:view` in `site/tw-main`, name the action
        `campaign:view` and the resource `{type: site, id: tw-main}`. A record kept elsewhere that lies in several
        scopes names the others in `properties.scopes: [{type, id}]`.

        **context.as_of**: what the log knew then, judged at that instant. **context.explain**: who gave it, when, by
        which event, on which terms; or the nearest miss. **context.proved_at**: also whether the proof of the password
        is fresh enough; without it `step_up` says that the command will ask for one. A temporary password that must
        be changed first is no part of the answer. Unknown subjects and records: `no_grant`.
        """
        head = await enter(request, at_least)
        return _answered(await decided(data), head)

    @post(
        "/evaluations",
        status_code=200,
        responses=problems(MomentMalformed, MomentUnknown, PositionUnknown, BodyTooLarge),
    )
    async def access_evaluations(
        request: Asked, data: JSONBody[EvaluationsBody], at_least: MinPosition = None
    ) -> Answer[EvaluatedAll]:
        """Up to 1,000 questions in one, answered in their order; what one does not say, the request says for all.

        `options.evaluations_semantic` ends the answers with the first denial, or the first permit.
        """
        head = await enter(request, at_least)
        if len(data.evaluations) > MOST_EVALUATIONS:
            raise BodyTooLarge(f"At most {MOST_EVALUATIONS} evaluations in one request.")
        asked = [whole(data, part, f"/evaluations/{at}") for at, part in enumerate(data.evaluations)]
        if not asked:
            asked = [whole(data, PartBody(), "")]
        stop = {"deny_on_first_deny": False, "permit_on_first_permit": True}.get(
            data.options.evaluations_semantic
        )
        found: list[Evaluated] = []
        for start in range(0, len(asked), AT_ONCE):
            for each in await asyncio.gather(*map(decided, asked[start : start + AT_ONCE])):
                found.append(each)
                if each.decision is stop:
                    return _answered(EvaluatedAll(evaluations=found), head)
        return _answered(EvaluatedAll(evaluations=found), head)

    @post(
        "/search/subject",
        status_code=200,
        responses=problems(
            MomentMalformed,
            MomentUnknown,
            PositionUnknown,
            LIST_PROBLEMS[PageTokenMalformed],
            LIST_PROBLEMS[PageTokenMismatch],
        ),
    )
    async def access_search_subject(
        request: Asked, data: JSONBody[SearchBody], at_least: MinPosition = None
    ) -> Answer[Subjects]:
        """Who can? Everybody whom the evaluation of the same action and resource would allow it, each with by what.

        Those who hold a grant, members of departments that do, and people whose role gives it; nobody who is blocked,
        and nothing that has lapsed. In the order of ids; `page.limit` (25; above 100 counts as 100), `page.token`.
        """
        head = await enter(request, at_least)
        moment = await at_moment(data.context)
        if moment is not None:
            await progress.reached(projection.name, moment.position)
        bound = _binding(data)
        found, after = await evaluations.who_can(
            data.subject.type,
            right(data.action, data.resource),
            thing(data.resource),
            moment,
            after=None if not data.page.token else _after(data.page.token, bound),
            limit=min(data.page.limit, LARGEST_PAGE),
        )
        results = [_subject(data.subject.type, each.subject, told(each, explain=False)) for each in found]
        position = found[0].known.position if found else (moment.position if moment else head)
        body = Subjects(
            results=results,
            page=NextPage(next_token=_token(after, bound) if after else "", count=len(results)),
            context={"position": position},
        )
        return _answered(body, head)

    return Router(
        "/access/v1",
        route_handlers=[access_evaluation, access_evaluations, access_search_subject],
        tags=["Grants"],
    )


def _answered(body: Any, head: int) -> Answer[Any]:
    return answers.json_answer(
        body, headers=[(b"x-projection-position", b"%d" % head), (b"cache-control", b"no-store")]
    )


def _subject(kind: str, subject: UUID, one: Evaluated) -> SubjectFound:
    said = msgspec.to_builtins(one.context)
    shown = {name: said[name] for name in ("grant", "allowed_by", "expires_at") if name in said}
    return SubjectFound(type=kind, id=subject, properties=shown)


def _binding(data: SearchBody) -> bytes:
    """A page token goes with its question."""
    asked = msgspec.json.encode((data.subject.type, data.action.name, data.resource, data.context))
    return blake2b(asked, digest_size=8).digest()


def _token(after: UUID, bound: bytes) -> str:
    return urlsafe_b64encode(after.bytes + bound).decode()


def _after(token: str, bound: bytes) -> UUID:
    """Raises PageTokenMalformed, PageTokenMismatch."""
    try:
        read = urlsafe_b64decode(token)
    except ValueError:
        read = b""
    if len(read) != 24:
        raise PageTokenMalformed(parameter="page_token")
    if read[16:] != bound:
        raise PageTokenMismatch(parameter="page_token")
    return UUID(bytes=read[:16])
