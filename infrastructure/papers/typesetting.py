"""Papers set by typst: a template of `data/` and what stands on it make a PDF/A-3b, always of the same bytes.

Nothing else goes in: no clock (the template dates the document), no font but those that typst itself brings.
"""

from typing import Any

import msgspec
import typst

from infrastructure.shipped import DATA


def pdf(template: str, content: Any) -> bytes:
    """Sets `data/<template>.typ` with the content as JSON in `sys.inputs.data`. Takes tens of milliseconds of a core.

    Raises typst.TypstError when the template cannot be set so.
    """
    made = typst.compile(
        (DATA / f"{template}.typ").read_bytes(),
        format="pdf",
        ignore_system_fonts=True,
        sys_inputs={"data": msgspec.json.encode(content, order="deterministic").decode()},
        pdf_standards="a-3b",
    )
    assert isinstance(made, bytes)
    return made
