"""The text of files, read by a process of its own that no file can hurt."""

import io
import zipfile
from hashlib import sha256

import pypdf
import pytest
import typst

from domain.file.content import READABLE, TYPES
from infrastructure.texts import child, office_document
from infrastructure.texts.formats import READERS
from infrastructure.texts.reader import read_text

pytestmark = pytest.mark.anyio

WORD = '<w:document xmlns:w="w"><w:body>{}</w:body></w:document>'
PARAGRAPH = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"


def typeset(*pages):
    return bytes(typst.compile("#pagebreak()\n".join(f"{page}\n" for page in pages).encode()))


def archive(compression=zipfile.ZIP_DEFLATED, **parts):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as into:
        for name, content in parts.items():
            into.writestr(name.replace("__", "/"), content)
    return made.getvalue()


def docx(*paragraphs):
    body = "".join(PARAGRAPH.format(each) for each in paragraphs)
    return archive(
        **{
            "word/document.xml": WORD.format(body),
            "word/header1.xml": WORD.format(PARAGRAPH.format("On top")),
        }
    )


XLSX = archive(
    **{
        "xl/sharedStrings.xml": "<sst><si><t>Котёл</t></si><si><r><t>по</t></r><r><t>ставка</t></r></si></sst>",
        "xl/worksheets/sheet1.xml": '<worksheet><c t="s"><v>1</v></c><c><v>77031</v></c>'
        '<c t="inlineStr"><is><t>inline</t></is></c></worksheet>',
    }
)
ODT = archive(
    mimetype="application/vnd.oasis.opendocument.text",
    **{
        "content.xml": '<d xmlns:office="o" xmlns:text="t"><office:styles>hidden</office:styles><office:body>'
        "<text:h>Réunion</text:h><text:p>le<text:s/>mardi</text:p></office:body></d>"
    },
)


def encrypted(pdf):
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf))
    writer.encrypt("secret", algorithm="AES-256")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()


async def read(content, kind, **more):
    async def pieces():
        for at in range(0, len(content), 1 << 16):
            yield content[at : at + (1 << 16)]

    return await read_text(pieces(), TYPES[kind], **more)


def test_every_type_that_is_readable_has_its_reader():
    assert READERS.keys() == READABLE


async def test_a_pdf_is_read_page_by_page():
    found = await read(typeset("Договор поставки", "La deuxième page"), "pdf")
    assert found.outcome == "read"
    assert found.text.split() == ["Договор", "поставки", "La", "deuxième", "page"]
    assert found.sha256 == sha256(found.text.encode()).hexdigest()


def said(content, kind):
    """Without the process: how it went, and what came out."""
    out = io.BytesIO()
    outcome = child.main(TYPES[kind], io.BytesIO(content), out)
    return outcome, out.getvalue().decode().split()


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (
            docx("A first", "and &lt;a&gt; second"),
            "docx",
            ["A", "first", "and", "<a>", "second", "On", "top"],
        ),
        (XLSX, "xlsx", ["Котёл", "поставка", "77031", "inline"]),
        (ODT, "odt", ["Réunion", "le", "mardi"]),
        ("ёлка, 17".encode(), "txt", ["ёлка,", "17"]),
        ("ёлка;17".encode("cp1251"), "csv", ["ёлка;17"]),
        ("ёлка 17".encode("utf-16"), "txt", ["ёлка", "17"]),
        ("\ufeffёлка".encode(), "csv", ["ёлка"]),
        (b"a\0b", "txt", ["ab"]),
    ],
)
def test_each_format_says_what_stands_in_it(content, kind, words):
    assert said(content, kind) == (child.READ, words)


BILLION = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + WORD.format(PARAGRAPH.format("&b;"))
OUTSIDE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + WORD.format(PARAGRAPH.format("&a;"))


@pytest.mark.parametrize(
    ("content", "kind", "outcome"),
    [
        (encrypted(typeset("A secret")), "pdf", child.ENCRYPTED),
        (b"%PDF-1.7\n" + bytes(100), "pdf", child.DAMAGED),
        (typeset("Cut off")[:500], "pdf", child.DAMAGED),
        (docx("Cut off")[:-40], "docx", child.DAMAGED),
        (archive(**{"word/document.xml": BILLION}), "docx", child.DAMAGED),
        (archive(**{"word/document.xml": OUTSIDE}), "docx", child.DAMAGED),
        (archive(**{"nothing.xml": "<a/>"}), "xlsx", child.DAMAGED),
        (b"\xd0\xcf\x11\xe0" + bytes(2_000), "docx", child.ENCRYPTED),
        (
            archive(**{"META-INF/manifest.xml": "<encryption-data/>", "content.xml": "x"}),
            "odt",
            child.ENCRYPTED,
        ),
    ],
)
def test_what_cannot_be_read_is_told_apart(content, kind, outcome):
    assert said(content, kind) == (outcome, [])


def test_a_zip_that_unpacks_to_very_much_is_read_to_a_bound(monkeypatch):
    """Of forty megabytes of blanks the parser gets no more than it may, here four."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as into,
        into.open("word/document.xml", "w") as part,
    ):
        part.write(b'<w:document xmlns:w="w"><w:p><w:t>begins</w:t></w:p>')
        for _ in range(40):
            part.write(bytes(1 << 20).replace(b"\0", b" "))
    squeezed = made.getvalue()
    monkeypatch.setattr(office_document, "MOST_XML", 4 << 20)
    assert said(squeezed, "docx") == (child.READ, ["begins"])


def test_no_more_than_a_million_characters_are_kept():
    out = io.BytesIO()
    assert child.main(TYPES["txt"], io.BytesIO(b"a" * 3_000_000), out) == child.READ
    assert len(out.getvalue()) == child.MOST_CHARACTERS


async def test_what_takes_too_long_is_ended_and_what_follows_is_read_as_ever():
    found = await read(b"a" * 1_000_000, "txt", patience=0)
    assert (found.outcome, found.sha256) == ("too_costly", None)
    assert (await read(b"and on", "txt")).text == "and on"


async def test_what_was_read_before_the_damage_is_kept():
    found = await read(archive(**{"word/document.xml": "<w:p><w:t>The beginning"}), "docx")
    assert (found.outcome, found.text) == ("damaged", "The beginning")


async def test_a_file_without_a_word_says_nothing():
    found = await read(typeset("#rect()"), "pdf")
    assert (found.outcome, found.text, found.sha256) == ("nothing", "", None)
