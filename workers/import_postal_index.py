"""The postal index: read beside the present one, and written in batches whose numbers follow from the file alone."""

from contextlib import ExitStack

from msgspec import structs

from domain.imports.events import Counts
from domain.postal_index.commands import LoadPostalIndex
from domain.postal_index.events import batch_id
from infrastructure.imports.file import FailedRow
from infrastructure.imports.postal_index_file import PostalIndexFile
from infrastructure.imports.postal_index_stage import PostalIndexStage, staged
from infrastructure.imports.progress import SAMPLE, Pending
from infrastructure.registers.region_names import RegionNames
from infrastructure.shipped import reference_data
from workers.imports import As, Job


class PostalIndexImport:
    """Implements workers.imports.Applier."""

    async def preview(self, job: Job) -> None:
        progress = job.progress
        with ExitStack() as stack:
            stage = await self._staged(job, stack, shown=True)
            counts = await job.thread(stage.counts)
            progress.counts = structs.replace(counts, failed=progress.counts.failed)
            progress.sample = await job.thread(lambda: stage.sample(SAMPLE))

    async def apply(self, job: Job, writer: As) -> None:
        progress, system = job.progress, job.system
        with ExitStack() as stack:
            first = await self._resumed(job)
            progress.problems.clear()
            progress.counts = structs.replace(progress.counts, failed=0)
            stage = await self._staged(job, stack, shown=False)
            if not first:  # nothing is written yet
                plan = await job.thread(stage.counts)
                progress.total = plan.added + plan.changed + plan.vanished
                progress.counts = structs.replace(progress.counts, unchanged=plan.unchanged)
            number = 0
            for number in await job.thread(lambda: stage.numbers(first)):
                lot = await job.thread(lambda: stage.lot(number))  # noqa: B023 - called at once
                progress.pending = Pending(batch=number, counts=lot.counts)
                await job.keep()
                context = writer.context(await writer.caller(), str(number))
                command = LoadPostalIndex(
                    import_id=job.id, number=number, codes=lot.codes, vanished=lot.vanished
                )
                await system.bulk.postal_index.load(command, context)
                self._count(job, lot.counts)
            progress.pending = Pending(batch=number + 1, counts=Counts())  # beyond the last

    async def _resumed(self, job: Job) -> int:
        """The batch to go on with; one that was begun by a killed attempt counts if it is in the log."""
        pending = job.progress.pending
        if pending is None or not pending.batch:
            return 0
        if not await job.system.log.stream(batch_id(job.id, pending.batch)):
            return pending.batch
        self._count(job, pending.counts)
        return pending.batch + 1

    def _count(self, job: Job, counts: Counts) -> None:
        job.progress.counts += counts
        job.progress.processed += counts.added + counts.changed + counts.vanished

    async def _staged(self, job: Job, stack: ExitStack, *, shown: bool) -> PostalIndexStage:
        """`shown`: how far reading is, is what people are told now."""
        await job.caught_up("address")
        progress, about = job.progress, job.about

        def told(read: int, failed: list[FailedRow]) -> None:
            progress.note(failed)
            if shown:
                progress.processed = read
            job.keep_from_thread(failed)

        def stage() -> PostalIndexStage:
            regions = RegionNames(dict(reference_data())["region"])
            file = PostalIndexFile(job.path, regions, about.encoding)
            progress.format, progress.encoding = file.format, file.encoding
            progress.header = list(file.header)
            if shown:
                progress.total = file.total
            laid = stack.enter_context(staged(job.system.url, about.mode))
            laid.take(file, told)
            return laid

        return await job.thread(stage)
