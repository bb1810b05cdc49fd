"""A signature's evidence, the certificate that carries it, and whether both are what they say: nobody else is asked."""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from domain.contract.events import ContractSigned, Terms
from domain.shared import Stored
from infrastructure.audit.report import Finding, Verdict
from infrastructure.audit.signed_note import Forged, Note, Untrusted, Verifier, open_note, parse_note
from infrastructure.papers.typesetting import pdf, setting
from projections.leaf import stored_of
from projections.merkle import leaf_hash
from projections.proofs import Checkpoint, Malformed, Proof, parse_checkpoint, parse_proof

FORMAT = "chancery-certificate@v1"
LARGEST = 20_000_000
"""Bytes of a file that is taken for a certificate."""
_LARGEST_EVIDENCE = 1_000_000
_STREAM = re.compile(rb"(?<!end)stream\r?\n")


class Evidence(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is attached. `document`: the signed bytes; `leaf`: the entry that says so; `proof`: the way from it to a
    signed checkpoint (c2sp.org/tlog-proof@v1). `signer` and `organisation`: what the register called them then, which
    other entries say, the first as ciphertext; None: erased, or nobody with a name. `set_by`: what made the page.
    """

    format: str = FORMAT
    set_by: str
    document: bytes
    leaf: bytes
    proof: str
    signer: str | None = None
    organisation: str | None = None


class NoCertificate(Exception):
    """There is no evidence in this file that can be read."""


class _Document(Terms, frozen=True, kw_only=True):
    id: UUID
    version: int


class _Meta(Struct, frozen=True, kw_only=True):
    actor: tuple[str, UUID]
    request_id: str
    session_id: UUID | None = None
    allowed_by: str | None = None
    origin: str | None = None


class Certified(Struct, frozen=True, kw_only=True):
    """The evidence as read: every member follows from the leaf, the document or the proof."""

    stored: Stored
    meta: _Meta
    signed: ContractSigned
    document: _Document
    proof: Proof
    note: Note
    checkpoint: Checkpoint
    evidence: Evidence

    @classmethod
    def of(cls, evidence: Evidence) -> "Certified":
        """Raises msgspec.DecodeError, Malformed."""
        stored = stored_of(evidence.leaf)
        if evidence.format != FORMAT or stored.topic != ContractSigned.TOPIC:
            raise Malformed("this is evidence of something else")
        proof = parse_proof(evidence.proof)
        note = parse_note(proof.checkpoint)
        return cls(
            stored=stored,
            meta=msgspec.json.decode(stored.meta, type=_Meta),
            signed=msgspec.json.decode(stored.state, type=ContractSigned),
            document=msgspec.json.decode(evidence.document, type=_Document),
            proof=proof,
            note=note,
            checkpoint=parse_checkpoint(note.text),
            evidence=evidence,
        )

    def differences(self) -> Iterator[str]:
        """Where document, entry and checkpoint do not belong together."""
        if sha256(self.evidence.document).hexdigest() != self.signed.document_sha256:
            yield "the document is not the one whose SHA-256 was signed"
        if (self.document.id, self.document.version) != (self.stored.stream_id, self.signed.signed_version):
            yield "the document is another contract's, or of another version"
        if self.proof.index != self.stored.position - 1 or not self.proof.proves(
            leaf_hash(self.evidence.leaf), self.checkpoint
        ):
            yield f"this entry does not stand under the root of {self.checkpoint.size} entries"


def page(evidence: Evidence) -> bytes:
    """The certificate as PDF/A-3b: the same bytes for the same evidence. Raises msgspec.DecodeError, Malformed."""
    return pdf("certificate", _facts(Certified.of(evidence)) | {"attached": attached(evidence)})


def attached(evidence: Evidence) -> str:
    """In ASCII, so that no letter that a font lacks is boxed in it."""
    return json.dumps(msgspec.to_builtins(evidence), separators=(",", ":"))


def set_by() -> str:
    return setting("certificate")


def evidence_in(file: bytes) -> Evidence:
    """The one evidence that a certificate carries. Raises NoCertificate."""
    found = [data for data in _streams(file) if data.startswith(b'{"format":"chancery-certificate@')]
    if len(found) != 1:
        raise NoCertificate(f"{len(found) or 'no'} pieces of evidence that can be read are attached")
    try:
        return msgspec.json.decode(found[0], type=Evidence)
    except (msgspec.DecodeError, RecursionError) as reason:
        raise NoCertificate(f"the evidence cannot be read: {reason}") from None


def examined(file: bytes, trusted: Iterable[Verifier]) -> tuple[Certified | None, list[Finding]]:
    """What a file certifies, and all that speaks against it."""
    try:
        evidence = evidence_in(file)
        certified = Certified.of(evidence)
    except (NoCertificate, Malformed, msgspec.DecodeError, OverflowError, RecursionError) as reason:
        return None, [_tampered(str(reason))]
    findings = [_tampered(each) for each in certified.differences()]
    try:
        open_note(certified.note, trusted)
    except Forged as reason:
        findings.append(_tampered(str(reason)))
    except Untrusted as reason:
        findings.append(Finding(verdict=Verdict.UNTRUSTED, detail=str(reason)))
    if evidence.set_by != set_by():
        detail = f"the page was set by {evidence.set_by}, so it cannot be set again here and compared"
        findings.append(Finding(verdict=Verdict.INCOMPLETE, detail=detail))
    elif not findings and page(evidence) != file:
        findings.append(_tampered("the page is not the one that this evidence makes"))
    return certified, findings


def _tampered(detail: str) -> Finding:
    return Finding(verdict=Verdict.TAMPERED, detail=detail)


def _streams(file: bytes) -> Iterator[bytes]:
    """What the streams of a PDF hold, of those that are plainly deflated (ISO 32000-1 7.3.8, 7.4.4)."""
    view = memoryview(file)
    for start in _STREAM.finditer(file):
        begin = start.end()
        try:
            yield zlib.decompressobj().decompress(view[begin : begin + _LARGEST_EVIDENCE], _LARGEST_EVIDENCE)
        except zlib.error:
            continue


def _facts(certified: Certified) -> dict[str, Any]:
    document, evidence = certified.document, certified.evidence
    return {
        "title": "Certificate of signature",
        "day": _utc(certified.stored.recorded_at)[:10],
        "log": certified.checkpoint.origin,
        "event": str(certified.stored.event_id),
        "position": str(certified.stored.position),
        "contract": _rows(
            ("Contract", document.custom_id or str(document.id)),
            ("Title", document.title),
            ("Kind", document.kind),
            ("Organisation", document.organisation_id),
            ("Contact", document.contact_id),
            ("Amount", document.amount and f"{document.amount.amount} {document.amount.currency}"),
            ("Due on", document.due_on),
            ("Version", document.version),
            ("Contract id", document.id),
            ("SHA-256", certified.signed.document_sha256),
        ),
        "signature": _signature(certified),
        "record": _record(certified),
        "names": _rows(
            ("Who signed", evidence.signer or "no name: erased, or a program"),
            ("With", evidence.organisation),
        ),
    }


def _signature(certified: Certified) -> list[tuple[str, str]]:
    signed, meta = certified.signed, certified.meta
    kind, actor_id = meta.actor
    proof = {
        "password": "password",
        "identity_provider": "identity provider",
        "api_key": "key of an API client",
        None: "not recorded",
    }
    how = proof.get(signed.credential, signed.credential)
    if signed.proved_at is not None:
        how = f"{how}, given {_utc(signed.proved_at)}"
    sealed = "address and device, sealed in the entry under the signer's key"
    return _rows(
        ("Signed by", f"{kind} {actor_id}"),
        ("Signed at", _utc(signed.signed_at)),
        ("Known by", how),
        ("Session", meta.session_id),
        ("By the right", meta.allowed_by),
        ("From where", sealed if meta.origin else "not recorded"),
        ("Request", meta.request_id),
    )


def _record(certified: Certified) -> list[tuple[str, str]]:
    stored, checkpoint, note = certified.stored, certified.checkpoint, certified.note
    return _rows(
        ("Log", checkpoint.origin),
        ("Position", stored.position),
        ("Event", stored.event_id),
        ("Version of the contract", stored.version),
        ("Recorded at", _utc(stored.recorded_at)),
        ("Leaf", leaf_hash(certified.evidence.leaf).hex()),
        ("Checkpoint over", f"{checkpoint.size} entries"),
        ("Root", checkpoint.root.hex()),
        ("Signed by the key", ", ".join(f"{each.name}+{each.key_id.hex()}" for each in note.signatures)),
    )


def _rows(*pairs: tuple[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in pairs if value is not None]


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
