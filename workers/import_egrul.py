"""The Russian register of legal entities: read through for the preview, then loaded as a whole, or not at all."""

from collections.abc import Callable, Iterator, Sequence

from domain.imports.events import FILL, Counts
from infrastructure.imports.file import FailedRow, FileRefused, problem
from infrastructure.imports.progress import SAMPLE, Progress
from infrastructure.registers.egrul_archive import files
from infrastructure.registers.egrul_file import EgrulFileRefused, Extract
from infrastructure.registers.egrul_load import EgrulEmpty, EgrulPresent, Mode, load, present
from infrastructure.registers.egrul_load import Progress as Loaded
from workers.imports import As, Job

EVERY = 1_000
"""Legal entities between two words on progress."""


class EgrulImport:
    """Implements workers.imports.Applier."""

    async def preview(self, job: Job) -> None:
        progress = job.progress
        progress.format, progress.header = "egrul", ["file", "ogrn"]
        await job.thread(lambda: _refusing(job, _read_through))
        if not progress.counts.added + progress.counts.changed + progress.counts.vanished:
            raise FileRefused("file.empty", "The file holds no legal entity.")

    async def apply(self, job: Job, writer: As) -> None:
        await writer.caller()
        planned = job.progress.pending
        assert planned is not None
        await job.thread(lambda: _refusing(job, _load))
        job.progress.counts = planned.counts


def _refusing(job: Job, work: Callable[[Job], None]) -> None:
    try:
        if not job.path.stat().st_size:
            raise FileRefused("file.empty", "The file is empty.")
        work(job)
    except EgrulFileRefused as refused:
        raise FileRefused("file.not_egrul", f"{refused}.") from None
    except EgrulEmpty as refused:
        raise FileRefused("file.empty", str(refused)) from None


def _load(job: Job) -> None:
    def told(done: Loaded) -> None:
        job.progress.processed = done.entities + done.gone + done.left_out
        job.keep_from_thread()

    mode: Mode = "fill" if job.about.mode == FILL else "update"
    load(job.system.url, files(job.path, job.about.name), mode, told)


def _read_through(job: Job) -> None:
    with present(job.system.url) as known:
        _compare(job, known)
        if job.about.mode == FILL:  # what it does not name is found no more
            counts = job.progress.counts
            job.progress.counts += Counts(vanished=max(0, known.count() - counts.changed - counts.vanished))


def _compare(job: Job, known: EgrulPresent) -> None:
    progress, row = job.progress, 0
    for name, encoding, lot in _lots(job):
        progress.encoding = encoding
        there = known([each.ogrn for each in lot])
        failed: list[FailedRow] = []
        for each in lot:
            row += 1
            if each.problem is not None:
                failed.append(problem(row, (name, each.ogrn), "/ogrn", "left_out", f"{each.problem}."))
            else:
                _count(progress, row, each, there=each.ogrn in there)
        progress.processed = row
        progress.note(failed)
        job.keep_from_thread(failed)


def _lots(job: Job) -> Iterator[tuple[str, str, Sequence[Extract]]]:
    """File by file, so many legal entities at a time."""
    for file in files(job.path, job.about.name):
        lot: list[Extract] = []
        for extract in file:
            lot.append(extract)
            if len(lot) == EVERY:
                yield file.name, file.encoding, lot
                lot = []
        yield file.name, file.encoding, lot


def _count(progress: Progress, row: int, extract: Extract, *, there: bool) -> None:
    if not extract.registered:
        progress.counts += Counts(vanished=int(there), unchanged=int(not there))
        return
    progress.counts += Counts(added=int(not there), changed=int(there))
    if len(progress.sample) < SAMPLE:
        main = extract.registered[0]
        progress.sample.append(
            {
                "row": row,
                "action": "changed" if there else "added",
                "ogrn": extract.ogrn,
                "inn": extract.inn,
                "kpp": main.kpp,
                "full_name": main.full_name,
                "short_name": main.short_name,
                "address": main.place.text,
                "branches": len(extract.registered) - 1,
            }
        )
