"""`chancery audit certificate`: whether a certificate of signature is what it says, asked of nothing but the file."""

from pathlib import Path

import rich_click as click
from click import get_current_context

from cli.auditing import trusted_keys
from infrastructure.audit.report import Verdict, gravest
from infrastructure.papers.certificate import LARGEST, Certified, examined


@click.command("certificate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="VKEY",
    help="A key of the log that you trust, as it publishes it.",
)
def certificate(file: Path, keys: tuple[str, ...]) -> None:
    """Check FILE, a certificate of signature: document, entry, proof, key, and every byte of its page."""
    trusted = trusted_keys(keys)
    if file.stat().st_size > LARGEST:
        raise click.BadParameter("this is too large for a certificate", param_hint="FILE")
    certified, findings = examined(file.read_bytes(), trusted)
    for finding in findings:
        click.echo(f"{finding.verdict.name.lower()}: {finding.detail}")
    verdict = gravest(each.verdict for each in findings)
    if certified is not None and verdict is not Verdict.TAMPERED:
        _tell(certified)
    click.echo(
        verdict.name.lower() if verdict is Verdict.OK else f"{verdict.name}: {len(findings)} finding(s)"
    )
    get_current_context().exit(int(verdict))


def _tell(certified: Certified) -> None:
    signed, (kind, signer_id) = certified.signed, certified.meta.actor
    click.echo(f"contract {certified.stored.stream_id} as of v{signed.signed_version}")
    click.echo(f"signed by {kind} {signer_id} at {signed.signed_at:%Y-%m-%d %H:%M:%S} UTC")
    place = f"entry {certified.stored.position} under the root of {certified.checkpoint.size} entries"
    click.echo(f"{place} of {certified.checkpoint.origin}")
    names = " with ".join(filter(None, (certified.evidence.signer, certified.evidence.organisation)))
    click.echo(f"in the office's words, which no proof covers: {names or 'no names'}")
