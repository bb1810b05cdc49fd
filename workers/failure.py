"""How a failure is told to whoever looks after Chancery."""

import psycopg


def told(error: BaseException) -> str:
    """The error in one line, without the row a database error would show."""
    if isinstance(error, psycopg.Error):
        return f"{type(error).__name__} {error.sqlstate}: {error.diag.message_primary}"
    return f"{type(error).__name__}: {str(error)[:300]}"
