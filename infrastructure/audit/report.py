"""What a verification found: the verdict, the findings, and whose signatures hold."""

from collections.abc import Iterable, Sequence
from enum import IntEnum

from msgspec import Struct

from infrastructure.audit.selection import Selection
from infrastructure.audit.signed_note import Forged, Note, Untrusted, Verifier, open_note
from projections.proofs import Checkpoint, parse_checkpoint

MOST_FINDINGS = 100


class Verdict(IntEnum):
    """The exit codes of `chancery audit verify`."""

    OK = 0
    TAMPERED = 2
    INCOMPLETE = 3
    UNTRUSTED = 4


_GRAVITY = (Verdict.TAMPERED, Verdict.UNTRUSTED, Verdict.INCOMPLETE, Verdict.OK)


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """What counts of all that was found."""
    return min(verdicts, key=_GRAVITY.index, default=Verdict.OK)


class Finding(Struct, frozen=True, kw_only=True):
    """What is wrong, and with which entry, by its position (from 1), when that can be said."""

    verdict: Verdict
    detail: str
    position: int | None = None


class Report(Struct, frozen=True, kw_only=True):
    """`signed_by` are the keys, as published, whose signatures hold; `pinned`: the reader named them beforehand.

    `note` is the signed checkpoint to keep for next time, if nothing was found. `selection`: not the whole log, but
    what of it was asked for.
    """

    entries: int
    checkpoint: Checkpoint | None
    note: str | None
    signed_by: tuple[str, ...]
    pinned: bool
    findings: tuple[Finding, ...]
    more_findings: int = 0
    selection: Selection | None = None

    @property
    def verdict(self) -> Verdict:
        return gravest(finding.verdict for finding in self.findings)


class Findings:
    """Takes down what is found, the first hundred in words, and holds what the auditor relies on.

    `trusted` are the keys the auditor pinned; without any, a signature shows only that log and key belong together.
    `kept` is the signed checkpoint of last time: the log must begin with exactly what that one covered.
    """

    def __init__(self, trusted: Iterable[Verifier] = (), kept: Note | None = None) -> None:
        self.trusted, self.kept = tuple(trusted), kept
        self.kept_head = None if kept is None else parse_checkpoint(kept.text)
        # bounded: by a hundred, then counted
        self.found: list[Finding] = []
        self.more = 0

    @property
    def pinned(self) -> bool:
        return bool(self.trusted) or self.kept is not None

    def note(self, finding: Finding) -> None:
        if len(self.found) < MOST_FINDINGS:
            self.found.append(finding)
        else:
            self.more += 1

    def tampered(self, detail: str, position: int | None = None) -> None:
        self.note(Finding(verdict=Verdict.TAMPERED, detail=detail, position=position))

    def incomplete(self, detail: str, position: int | None = None) -> None:
        self.note(Finding(verdict=Verdict.INCOMPLETE, detail=detail, position=position))

    def continues(self, checkpoint: Checkpoint) -> bool:
        """Whether a log with this head can begin with what the kept one covered; what speaks against it is noted."""
        kept = self.kept_head
        if kept is None:
            return False
        if kept.origin != checkpoint.origin:
            detail = f"the kept checkpoint is of the log {kept.origin}"
            self.note(Finding(verdict=Verdict.UNTRUSTED, detail=detail))
        elif kept.size > checkpoint.size:
            self.tampered(f"the log once had {kept.size} entries", checkpoint.size + 1)
        else:
            return True
        return False

    def signers(
        self, note: Note, checkpoint: Checkpoint, published: Sequence[Verifier]
    ) -> tuple[Verifier, ...]:
        """Whose signatures hold. A kept checkpoint vouches for the keys that signed it, and for no other.

        In the log's own name nobody signs but keys that it publishes, and none of these signatures may be wrong.
        Others, such as witnesses, sign in names of their own.
        """
        known = {(key.name, key.key_id): key for key in (*published, *self.trusted)}
        if any(s.name == checkpoint.origin and (s.name, s.key_id) not in known for s in note.signatures):
            self.tampered("a signature in the log's name is by a key that the log does not publish")
        trusted = self.trusted or tuple(key for key in published if key.name == checkpoint.origin)
        try:
            if self.kept is not None:
                trusted = open_note(self.kept, trusted)
            open_note(note, (*known.values(), *trusted))
            return open_note(note, trusted)
        except Forged as reason:
            self.tampered(str(reason))
        except Untrusted as reason:
            self.note(Finding(verdict=Verdict.UNTRUSTED, detail=str(reason)))
        return ()
