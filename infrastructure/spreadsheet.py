"""Text on its way into a spreadsheet, which takes for a formula whatever begins like one."""

FORMULA = frozenset("=+-@\t\r\n＝＋－＠")  # full-width signs count, too


def neutral(cell: str) -> str:
    """The text as a spreadsheet shows it, never computes it (CWE-1236): an apostrophe stands before."""
    return f"'{cell}" if cell[:1] in FORMULA else cell
