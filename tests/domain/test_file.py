"""A file's three questions for each command, and what may be kept under which name and type."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from domain.file import content
from domain.file.aggregate import FILE, FileExists, FileUnknown
from domain.file.commands import BeginUpload, CompleteUpload, RecordText, RemoveFile, UploadFile
from domain.file.content import FileTooLarge, FileTypeDisagrees, FileTypeRefused
from domain.file.events import FileReceived, FileRemoved, FileTextRead, FileUploadBegan, FileUploaded
from domain.file.guards import BINDING, OBJECT, OWNED, guards
from domain.shared import Claim
from tests.scenario import given

ID, OWNER, OBJECT_ID = UUID(int=1), UUID(int=2), UUID(int=3)
THEN = datetime(2026, 5, 3, tzinfo=UTC)
ABOUT = {
    "owner_id": OWNER,
    "purpose": "attachment",
    "name": "a.pdf",
    "size": 3,
    "content_type": content.TYPES["pdf"],
}
BEGAN = FileUploadBegan(**ABOUT, expires_at=THEN)
UPLOADED = FileUploaded(**ABOUT, sha256="ab", object_id=OBJECT_ID)
RECEIVED = FileReceived(object_id=OBJECT_ID, content_type=content.TYPES["pdf"])
REMOVED = FileRemoved(reason="unbound")
READ = CompleteUpload(object_id=OBJECT_ID, content_type=content.TYPES["pdf"], sha256="ab")
SEEN = CompleteUpload(object_id=OBJECT_ID, content_type=content.TYPES["pdf"])


def test_a_file_is_kept_as_it_came():
    given(FILE).when(UploadFile(**ABOUT, sha256="ab", object_id=OBJECT_ID)).then(UPLOADED)


def test_an_upload_is_announced():
    given(FILE).when(BeginUpload(**ABOUT, expires_at=THEN)).then(BEGAN)


@pytest.mark.parametrize("before", [(UPLOADED,), (BEGAN,), (UPLOADED, REMOVED)])
@pytest.mark.parametrize(
    "command",
    [UploadFile(**ABOUT, sha256="ab", object_id=OBJECT_ID), BeginUpload(**ABOUT, expires_at=THEN)],
)
def test_an_id_is_taken_once(before, command):
    given(FILE, *before).when(command).then_refused(FileExists)


def test_what_was_announced_and_read_is_kept():
    given(FILE, BEGAN).when(READ).then(UPLOADED)


def test_a_large_one_is_received_and_kept_when_it_was_read():
    given(FILE, BEGAN).when(SEEN).then(RECEIVED)
    given(FILE, BEGAN, RECEIVED).when(READ).then(UPLOADED)


@pytest.mark.parametrize(("before", "command"), [((BEGAN, UPLOADED), READ), ((BEGAN, RECEIVED), SEEN)])
def test_completing_twice_changes_nothing(before, command):
    given(FILE, *before).when(command).then_nothing()


@pytest.mark.parametrize("before", [(UPLOADED,), (BEGAN,), (BEGAN, RECEIVED)])
def test_a_file_is_removed_with_its_reason(before):
    given(FILE, *before).when(RemoveFile(reason="unbound")).then(REMOVED)


def test_removing_twice_changes_nothing():
    given(FILE, UPLOADED, REMOVED).when(RemoveFile(reason="again")).then_nothing()


@pytest.mark.parametrize(
    ("before", "command"), [((), READ), ((), RemoveFile(reason="x")), ((UPLOADED, REMOVED), READ)]
)
def test_what_is_not_there_is_unknown(before, command):
    given(FILE, *before).when(command).then_refused(FileUnknown)


def test_a_whole_file_says_whose_it_is_and_a_removed_one_nothing():
    assert guards(ID, UPLOADED) == (
        Claim(kind=OBJECT, values=(str(OBJECT_ID),)),
        Claim(kind=OWNED, values=(f"{ID}:{OWNER}:attachment",)),
    )
    assert guards(ID, BEGAN) == (Claim(kind=OBJECT, values=(str(ID),)),)
    assert guards(ID, REMOVED) == (Claim(kind=OBJECT, values=()), Claim(kind=OWNED, values=()))
    assert BINDING == "file.binding"


# --- names and types -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("  Отчёт.pdf ", "Отчёт.pdf"),
        ("Cafe\u0301.txt", "Café.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.pdf", "a.pdf"),
        ("a\0b\r\nc\x85.pdf", "abc.pdf"),
        ("..", "file"),
        ("", "file"),
        (None, "file"),
        ("folder/", "file"),
        ("x" * 300 + ".docx", "x" * 250 + ".docx"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_is_made_safe(given_name, kept):
    assert content.clean_name(given_name) == kept


PDF, PNG, DOCX = (content.TYPES[each] for each in ("pdf", "png", "docx"))
ZIP, TXT, CSV, XLS = (content.TYPES[each] for each in ("zip", "txt", "csv", "xls"))


@pytest.mark.parametrize(
    ("name", "declared", "purpose", "found", "kept"),
    [
        ("a.pdf", PDF, "attachment", (PDF,), PDF),
        ("a.PDF", None, "document", (PDF,), PDF),
        ("a.pdf", "application/octet-stream", "document", (PDF,), PDF),
        ("scan", PDF, "document", (PDF,), PDF),
        ("scan", None, "document", (PDF, TXT, CSV), PDF),
        ("a.csv", "application/vnd.ms-excel", "attachment", (TXT, CSV), CSV),
        ("a.csv", "text/csv; charset=utf-8", "attachment", (TXT, CSV), CSV),
        ("a.txt", "text/plain", "attachment", (TXT, CSV), TXT),
        ("a.zip", "application/x-zip-compressed", "attachment", (DOCX, ZIP), ZIP),
        ("a.docx", DOCX, "attachment", (DOCX, ZIP), DOCX),
        ("me.png", "image/png", "avatar", (PNG,), PNG),
    ],
)
def test_an_honest_file_is_kept_as_what_it_says(name, declared, purpose, found, kept):
    assert content.judge(name, declared, purpose, found) == kept


@pytest.mark.parametrize(
    ("name", "declared", "purpose", "found", "refusal"),
    [
        ("a.pdf", PDF, "attachment", (PNG,), FileTypeDisagrees),
        ("a.png", PDF, "attachment", (PDF,), FileTypeDisagrees),
        ("a.docx", None, "attachment", (ZIP,), FileTypeDisagrees),
        ("a", "image/png", "attachment", (PDF,), FileTypeDisagrees),
        ("a.txt", "text/html", "attachment", (TXT, CSV), FileTypeDisagrees),
        ("a.pdf", PDF, "attachment", (), FileTypeRefused),
        ("a.exe", None, "attachment", (), FileTypeRefused),
        ("a.svg", "image/svg+xml", "notice", (), FileTypeRefused),
        ("a.pdf", PDF, "avatar", (PDF,), FileTypeRefused),
        ("a.png", "image/png", "document", (PNG,), FileTypeRefused),
        ("a", None, "document", (PNG,), FileTypeRefused),
    ],
)
def test_a_liar_and_a_stranger_are_refused(name, declared, purpose, found, refusal):
    with pytest.raises(refusal):
        content.judge(name, declared, purpose, found)


def test_a_file_may_be_as_large_as_its_limit():
    content.require_size(10, 10)
    with pytest.raises(FileTooLarge) as refused:
        content.require_size(11, 10)
    assert refused.value.extra == {"limit": 10}


TEXT = FileTextRead(outcome="read", characters=9, sha256="cd")


def test_what_a_file_says_is_told_once_and_again_when_it_is_read_otherwise():
    read = RecordText(outcome="read", characters=9, sha256="cd")
    given(FILE, UPLOADED).when(read).then(TEXT)
    given(FILE, UPLOADED, TEXT).when(read).then_nothing()
    given(FILE, UPLOADED, TEXT).when(RecordText(outcome="damaged")).then(FileTextRead(outcome="damaged"))
    given(FILE, BEGAN, RECEIVED, UPLOADED, TEXT).when(READ).then_nothing()
    assert guards(ID, TEXT) == ()


def test_of_a_file_that_is_not_whole_or_gone_no_text_is_told():
    read = RecordText(outcome="read", characters=9, sha256="cd")
    given(FILE).when(read).then_refused(FileUnknown)
    for before in ((BEGAN,), (BEGAN, RECEIVED), (UPLOADED, REMOVED), (UPLOADED, TEXT, REMOVED)):
        given(FILE, *before).when(read).then_nothing()
