"""Papers set as PDF by a job, as an answer: the file, or that it is being made."""

from uuid import UUID

from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from api.answers import Answer, Header, json_answer
from api.queries.file import Contents, Download, disposition, holds
from infrastructure.papers.kept import Paper


class Making(Struct, frozen=True, kw_only=True):
    """The PDF is being made: come again."""

    state: str


MAKING = {202: ResponseSpec(Making, generate_examples=False, description="Come again after Retry-After")}
"""`responses=problems(...) | MAKING`: what else such a route may answer."""


def paper_answer(
    contents: Contents,
    paper_id: UUID,
    name: str,
    paper: Paper | None,
    position: int,
    if_none_match: str | None,
) -> Answer[bytes]:
    """The PDF under this file name, 304 when the caller has these very bytes, 202 when there is none yet."""
    known = (b"x-projection-position", b"%d" % position)
    if paper is None:
        return json_answer(Making(state="making"), status=202, headers=[(b"retry-after", b"1"), known])
    tag = f'"{paper.sha256}"'
    headers: list[Header] = [(b"etag", tag.encode()), (b"cache-control", b"private, no-cache"), known]
    if if_none_match is not None and holds(if_none_match, tag):
        return Answer(304, b"", headers)
    headers += [
        (b"content-type", b"application/pdf"),
        (b"content-length", b"%d" % paper.size),
        (b"content-disposition", disposition(name).encode()),
    ]
    return Download(contents, paper_id, headers)
