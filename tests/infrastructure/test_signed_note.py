"""Signed notes against the published vectors, and against everything a note must not be."""

import os
from base64 import b64decode

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.audit.signed_note import (
    Forged,
    Signer,
    Untrusted,
    Verifier,
    new_signer,
    open_note,
    parse_note,
    parse_vkey,
    sign,
    stored_signer,
)
from infrastructure.personal_data import Wrapping
from projections.proofs import Malformed

PETER_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PETER = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
ENOCH_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"


def test_the_published_note_is_signed_the_same() -> None:
    """golang.org/x/mod sumdb/note note_test.go, TestSign and TestOpen: keys, text and both signatures."""
    signer = Signer("PeterNeumann", PETER_SEED)
    assert signer.verifier.vkey() == PETER_KEY
    assert str(sign(TEXT, [signer])) == f"{TEXT}\n{PETER}"
    note = parse_note(f"{TEXT}\n{PETER}{ENOCH}")
    peter, enoch = parse_vkey(PETER_KEY), parse_vkey(ENOCH_KEY)
    assert note.text == TEXT
    assert str(note) == f"{TEXT}\n{PETER}{ENOCH}"
    assert open_note(note, [peter]) == (peter,)
    assert open_note(note, [enoch, peter]) == (peter, enoch)


def test_the_key_of_a_known_log_is_read() -> None:
    """The Go checksum database's public key, as published in cmd/go."""
    key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert parse_vkey(key).vkey() == key


def test_a_note_may_have_empty_lines() -> None:
    """C2SP signed-note: the text is separated from the signatures by the last empty line."""
    poem = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    signed = "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc="
    signature = f"— quasimodo.example/salvatore {signed}\n"
    assert parse_note(f"{poem}\n{signature}").text == poem


def test_a_note_signed_by_nobody_i_know_is_untrusted() -> None:
    note = parse_note(f"{TEXT}\n{PETER}")
    for trusted in ([], [parse_vkey(ENOCH_KEY)], [Verifier(name="PeterNeumann", public=bytes(32))]):
        with pytest.raises(Untrusted):
            open_note(note, trusted)


def test_a_signature_moved_to_another_text_is_forged() -> None:
    with pytest.raises(Forged):
        open_note(parse_note(f"{TEXT}more\n\n{PETER}"), [parse_vkey(PETER_KEY)])


def test_one_good_signature_does_not_excuse_a_forged_one() -> None:
    forged = PETER.replace("nAM=", "nAQ=")
    with pytest.raises(Forged):
        open_note(parse_note(f"{TEXT}\n{ENOCH}{forged}"), [parse_vkey(PETER_KEY), parse_vkey(ENOCH_KEY)])


@pytest.mark.parametrize(
    "raw",
    [
        "",
        TEXT,
        TEXT + "\n",
        f"{TEXT}\n{PETER[:-1]}",
        f"\x01{TEXT}\n{PETER}",
        f"{TEXT}\n{PETER}".replace("\n", "\r\n"),
        f"{TEXT}\n{PETER}".encode().replace(b"If", b"\xff"),
        f"{TEXT}\n{PETER.replace('PeterNeumann', 'Bad Name')}",
        f"{TEXT}\n— a+b x08go/ZJkuBS9UG/\n",
        f"{TEXT}\n—  x08go/ZJkuBS9UG/\n",
        f"{TEXT}\n— name x08g\n",
        f"{TEXT}\n— name x08go/ZJkuBS9UG=\n",
        f"{TEXT}\n- name x08go/ZJkuBS9UG/\n",
        f"{TEXT}\n{PETER}Unexpected line.\n",
        f"{TEXT}\n{PETER}\n",
        f"{TEXT}\n{PETER * 101}",
        f"{TEXT}\n{PETER}" + "x" * 1_000_000,
    ],
)
def test_what_is_no_note_is_refused(raw: str | bytes) -> None:
    """Most of these are from golang.org/x/mod sumdb/note note_test.go, TestOpen."""
    with pytest.raises(Malformed):
        parse_note(raw)


def test_no_mangled_key_is_taken() -> None:
    """golang.org/x/mod sumdb/note note_test.go, TestNewVerifier: every substring and every changed byte."""
    mangled = [
        PETER_KEY[i:j]
        for i in range(len(PETER_KEY))
        for j in range(i, len(PETER_KEY) + 1)
        if (i, j) != (0, len(PETER_KEY))
    ]
    mangled += [
        PETER_KEY[:i] + chr(ord(PETER_KEY[i]) + 1) + PETER_KEY[i + 1 :] for i in range(len(PETER_KEY))
    ]
    mangled += ["PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY=="]
    mangled += [
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        PETER_KEY.replace("c74f20a3", "C74F20A3"),
    ]
    for key in mangled:
        with pytest.raises(Malformed):
            parse_vkey(key)


@given(st.text() | st.binary())
def test_no_input_breaks_the_parser(raw: str | bytes) -> None:
    for candidate in (raw, f"{TEXT}\n— {raw!r} AAAA\n"):
        try:
            note = parse_note(candidate)
        except Malformed:
            continue
        assert parse_note(str(note)) == note


@given(st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32)))
def test_what_is_signed_is_what_is_read(line: str) -> None:
    signer = Signer("PeterNeumann", PETER_SEED)
    note = parse_note(str(sign(line + "\n", [signer])))
    assert note.text == line + "\n"
    assert open_note(note, [signer.verifier]) == (signer.verifier,)


def test_a_text_that_no_note_can_carry_is_not_signed() -> None:
    for text in ("\r\n", "tab\there\n"):
        with pytest.raises(Malformed):
            sign(text, [Signer("PeterNeumann", PETER_SEED)])


def test_a_key_comes_back_out_of_its_wrapping_and_out_of_no_other() -> None:
    wrapping = Wrapping(os.urandom(32))
    signer, sealed = new_signer("chancery.example/audit", wrapping)
    assert stored_signer(signer.verifier, sealed, wrapping).sign(TEXT) == signer.sign(TEXT)
    with pytest.raises(InvalidTag):
        stored_signer(signer.verifier, sealed, Wrapping(os.urandom(32)))
    with pytest.raises(InvalidTag):
        stored_signer(
            Verifier(name="chancery.example/other", public=signer.verifier.public), sealed, wrapping
        )


def test_several_keys_sign_one_note() -> None:
    signers = [Signer(f"log.example/{n}", bytes([n]) * 32) for n in range(16)]
    note = sign(TEXT, signers)
    assert len(note.signatures) == 16
    assert open_note(note, [signers[7].verifier]) == (signers[7].verifier,)
