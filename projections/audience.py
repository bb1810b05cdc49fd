"""Who may view the records of a list, as data beside its columns: lists over HTTP and exports judge by it alike."""

from collections.abc import Mapping

from msgspec import Struct


class Audience(Struct, frozen=True, kw_only=True):
    """Who views a list's records. `path`: what the list is called, `organisations`.

    `right` (None: whoever has signed in) counts everywhere, or in the scopes whose ids the columns of `by` hold:
    `{"organisation": "id", "own": "account_manager_id"}`, where `own` is the responsible user; of a column that holds
    several ids one will do. `within`: two columns that hold the type and the id of a scope the record itself lies in.
    `reserved`: members that take another right.
    """

    path: str
    right: str | None = None
    by: Mapping[str, str] = {}
    within: tuple[str, str] | None = None
    reserved: Mapping[str, frozenset[str]] = {}
