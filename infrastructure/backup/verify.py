"""Whether a backup is whole and is what was made, without any server: every byte, every event, the signed root."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from infrastructure.audit.report import Finding, Findings, Report, Verdict
from infrastructure.audit.signed_note import Note, Verifier, parse_note, parse_vkey
from infrastructure.backup import manifest as told
from infrastructure.backup.log_scan import TABLE, Scan, events
from infrastructure.backup.manifest import (
    DUMP,
    OBJECTS,
    SUBJECT_KEYS,
    Altered,
    BackupRefused,
    Distrusted,
    Incomplete,
    Manifest,
)
from infrastructure.backup.programs import programs
from infrastructure.personal_data import Wrapping
from infrastructure.subject_key_file import KeyFile, KeysRefused
from projections.proofs import Checkpoint, Malformed, parse_checkpoint


def verify(
    folder: Path,
    keys: Path | None = None,
    wrapping: Wrapping | None = None,
    trusted: Iterable[Verifier] = (),
    kept: Note | None = None,
) -> Report:
    """`keys`: the folder of its keys, to be looked at, too; `wrapping`: to know who made it. `trusted` and `kept` as in
    an audit. Raises BackupRefused for a backup of a later format.
    """
    found = Findings(trusted, kept)
    try:
        manifest = told.read(folder)
    except (Incomplete, Altered) as reason:
        _note(found, reason)
        return _report(found, 0)
    _all(found, folder, manifest, wrapping)
    if keys is not None:
        _keys(found, keys, manifest, wrapping)
    sound = not found.found
    checkpoint, signed_by = _log(found, folder, manifest) if sound else (None, ())
    return _report(found, manifest.position, manifest.checkpoint, checkpoint, signed_by)


def _all(found: Findings, folder: Path, manifest: Manifest, wrapping: Wrapping | None) -> None:
    """Every byte but those of the keys."""
    try:
        if wrapping is not None:
            told.authentic(manifest, wrapping)
    except Distrusted as reason:
        _note(found, reason)
    if {part.name for part in manifest.parts} != {DUMP, OBJECTS}:
        found.tampered("the manifest does not name the parts of a backup")
        return
    for part in manifest.parts:
        try:
            told.check(folder, part)
        except BackupRefused as reason:
            _note(found, reason)
    if not found.found:
        _objects(found, folder, manifest)


def _objects(found: Findings, folder: Path, manifest: Manifest) -> None:
    count, looked_at = 0, set[str]()
    for content in told.contents(folder):
        count += 1
        if content.sha256 in looked_at:
            continue
        looked_at.add(content.sha256)
        try:
            told.same(content.path(folder), f"the object {content.name}", content.size, content.sha256)
        except BackupRefused as reason:
            _note(found, reason)
    if count != manifest.objects:
        found.tampered(f"{OBJECTS} names {count} objects, and there were {manifest.objects}")


def _keys(found: Findings, folder: Path, manifest: Manifest, wrapping: Wrapping | None) -> None:
    try:
        keys = told.read_keys(folder)
        if keys.backup != manifest.id:
            raise Distrusted(f"{folder} has the keys of another backup")
        if wrapping is not None:
            told.authentic(keys, wrapping)
        for part in keys.parts:
            told.check(folder, part)
        if wrapping is not None:
            KeyFile(folder / SUBJECT_KEYS, wrapping).head()
    except KeysRefused as reason:
        found.note(Finding(verdict=Verdict.UNTRUSTED, detail=str(reason)))
    except BackupRefused as reason:
        _note(found, reason)


def _log(found: Findings, folder: Path, manifest: Manifest) -> tuple[Checkpoint | None, tuple[Verifier, ...]]:
    """What is signed, and by whom, where the events have the signed root."""
    note = checkpoint = None
    published: tuple[Verifier, ...] = ()
    if manifest.checkpoint is not None:
        try:
            note = parse_note(manifest.checkpoint)
            checkpoint = parse_checkpoint(note.text)
            published = tuple(map(parse_vkey, manifest.keys))
        except Malformed as reason:
            found.tampered(f"the checkpoint cannot be read: {reason}")
            return None, ()
    heads = [head for head in (checkpoint, found.kept_head) if head is not None]
    scan = Scan({head.size for head in heads})
    try:
        with programs(manifest.postgres).rows(folder / DUMP, TABLE) as rows:
            for event in events(rows):
                scan.take(event)
        scan.end()
    except (Altered, msgspec.MsgspecError) as reason:
        found.tampered(str(reason))
        return None, ()
    _complete(found, folder, manifest, scan)
    for head, name in ((checkpoint, "signed"), (found.kept_head, "kept")):
        if head is not None and head.size in scan.roots and scan.roots[head.size] != head.root:
            found.tampered(f"the first {head.size} events are not those of the {name} checkpoint")
    if note is None or checkpoint is None:
        return None, ()
    if checkpoint.size not in scan.roots:
        found.tampered(f"{checkpoint.size} events are signed, and {scan.events} are here")
    if found.kept_head is not None and found.kept_head.origin != checkpoint.origin:
        detail = f"the kept checkpoint is of the log {found.kept_head.origin}"
        found.note(Finding(verdict=Verdict.UNTRUSTED, detail=detail))
        return checkpoint, ()
    return checkpoint, found.signers(note, checkpoint, published)


def _complete(found: Findings, folder: Path, manifest: Manifest, scan: Scan) -> None:
    if scan.events != manifest.position:
        found.tampered(f"the log has {scan.events} events, and it had {manifest.position}")
    for content in told.contents(folder):
        if scan.files.get(content.name, content.sha256) != content.sha256:
            found.tampered(f"the object {content.name} is not the content that the log names")


def _note(found: Findings, reason: BackupRefused) -> None:
    match reason:
        case Incomplete():
            found.incomplete(str(reason))
        case Distrusted():
            found.note(Finding(verdict=Verdict.UNTRUSTED, detail=str(reason)))
        case Altered():
            found.tampered(str(reason))
        case _:
            raise reason


def _report(
    found: Findings,
    events_there: int,
    note: str | None = None,
    checkpoint: Checkpoint | None = None,
    signed_by: tuple[Verifier, ...] = (),
) -> Report:
    return Report(
        entries=events_there,
        checkpoint=checkpoint,
        note=note,
        signed_by=tuple(key.vkey() for key in signed_by),
        pinned=found.pinned,
        findings=tuple(found.found),
        more_findings=found.more,
    )
