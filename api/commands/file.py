"""POST of files."""

from datetime import datetime
from typing import Annotated, Literal

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, answered, context
from api.fields import Body, Nothing, Title
from api.openapi import problems
from api.reader import BodyInvalid, BodyMalformed
from api.refs import Ref, id_of
from api.upload import FormOperation, Upload
from application.file import FileNotSent, Files
from application.file_content import FileEmpty, FileSizeDisagrees
from domain.file.aggregate import FileUnknown
from domain.file.content import FileTooLarge, FileTypeDisagrees, FileTypeRefused, clean_name

PATH = "/api/v1/files"
Purpose = Literal["attachment", "document", "avatar", "notice"]
Size = Annotated[int, Meta(ge=1, le=2**53, examples=[81_920], description="bytes")]
MediaType = Annotated[
    str, Meta(min_length=3, max_length=127, pattern=r"^[!-~]+/[!-~]+", examples=["application/pdf"])
]


class BeginUploadBody(Body, frozen=True, kw_only=True):
    name: Title
    size: Size
    purpose: Purpose = "attachment"
    content_type: MediaType | None = None


class FileReceipt(Receipt, frozen=True, kw_only=True):
    """`state` is `stored`, or `checking` while the content of a large upload is read through."""

    state: str
    content_type: str
    sha256: str | None


class UploadReceipt(Receipt, frozen=True, kw_only=True):
    """PUT the content to `url` before `expires`, then complete the upload."""

    method: str
    url: str
    expires: datetime


def routes(files: Files) -> Router:
    @post(
        "/",
        dto=None,
        request_max_body_size=None,
        operation_class=FormOperation,
        responses=problems(
            BodyMalformed, BodyInvalid, FileTooLarge, FileTypeRefused, FileTypeDisagrees, FileEmpty
        ),
    )
    async def upload_file(
        request: Asked, *, idempotency_key: IdempotencyKey = None, dry_run: DryRunFlag = False
    ) -> Answer[FileReceipt]:
        """Upload a file as `multipart/form-data`. Its type is told from its bytes; one that lies is refused."""
        context(request, None, None, idempotency_key)  # a wrong header is told before the body is read
        said = await files.upload(
            Upload(request),
            lambda facts: context(request, facts, None, idempotency_key, dry_run=dry_run),
            dry_run=dry_run,
        )
        return answered(said, at=PATH)

    @post("/uploads", responses=problems(FileTooLarge, FileTypeRefused, FileTypeDisagrees))
    async def begin_upload(
        request: Asked,
        data: JSONBody[BeginUploadBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[UploadReceipt]:
        """Announce a file and get the address to PUT its content to, for fifteen minutes."""
        said = await files.begin(
            name=clean_name(data.name),
            purpose=data.purpose,
            size=data.size,
            content_type=data.content_type,
            context=context(request, data, None, idempotency_key, dry_run=dry_run),
        )
        return answered(said, at=PATH)

    @post(
        "/{ref:str}/complete",
        status_code=200,
        responses=problems(FileUnknown, FileNotSent, FileSizeDisagrees, FileTypeRefused, FileTypeDisagrees),
    )
    async def complete_upload(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[FileReceipt]:
        """Have what was sent to the address looked at and kept. A large one is `checking` until a job has read it."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await files.complete(id_of(ref), asked))

    return Router("/files", route_handlers=[upload_file, begin_upload, complete_upload], tags=["Files"])
