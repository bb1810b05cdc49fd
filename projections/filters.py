"""The filter language of lists: what users type becomes a tree, the tree a condition with bound values."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from projections.columns import Column
from projections.comparisons import Comparison, Joined, Negated, Node, Operand, Operator, condition_of
from projections.conditions import Condition, ListRefused


class FilterMalformed(ListRefused):
    """The filter is not written as the language has it; the detail says where and what was expected there."""

    code = "filter_malformed"


class FilterAmbiguous(ListRefused):
    """AND and OR stand side by side without parentheses, which has two readings; the detail shows both."""

    code = "filter_ambiguous"


class FilterTooLarge(ListRefused):
    """The filter has more than 2,000 characters or 50 terms."""

    code = "filter_too_large"


class FilterTooDeep(ListRefused):
    """The filter has parentheses, brackets and NOT inside each other more than 10 deep."""

    code = "filter_too_deep"


LENGTH, TERMS, DEPTH = 2_000, 50, 10

# One chain takes AND and OR alike, so that mixing is seen where it stands and both readings can be shown.
_GRAMMAR = Lark(
    r"""
    start: chain
    chain: _term ((AND | OR) _term)*
    _term: comparison | negated | group
    negated: NOT _term
    group: "(" chain ")"
    comparison: FIELD OPERATOR (_item | list)
    list: "[" _item ("," _item)* "]"
    _item: STRING | WORD

    AND.2: /(and|et|и)(?![^\s(])/i
    OR.2: /(or|ou|или)(?![^\s(])/i
    NOT.2: /(not|non|не)(?![^\s(])/i
    OPERATOR: /[<>]=|!=|=[<>]|[=<>:]/
    FIELD: /[^\W\d]\w*(\.\w+)*/
    STRING: /"(\\.|[^"\\])*"/
    WORD: /[^\s()",\[\]=<>'][^\s()",\[\]=<>]*/
    %ignore /\s+/
    """,
    parser="lalr",
    propagate_positions=True,
)
_OPERATORS = {"=>": Operator.AT_LEAST, "=<": Operator.AT_MOST}
_EXPECTED = {
    "FIELD": "a field",
    "OPERATOR": "an operator (= != < <= > >= :)",
    "STRING": "a value",
    "WORD": "a value",
    "LSQB": "[",
    "RSQB": "]",
    "LPAR": "(",
    "RPAR": ")",
    "COMMA": "a comma",
    "AND": "AND",
    "OR": "OR",
    "NOT": "NOT",
    "$END": "the end",
}


def compile(text: str, columns: Mapping[str, Column]) -> Condition | None:  # noqa: A001  as re.compile
    """The condition a filter sets on a table with these columns besides the system's; None: an empty filter.

    Raises what `parse` raises, FilterUnknownField and FilterWrongType.
    """
    node = parse(text)
    return None if node is None else condition_of(node, columns)


@lru_cache(maxsize=1_024)
def parse(text: str) -> Node | None:
    """The tree of a filter, not yet judged by any list's columns; None: the filter is empty.

    Raises FilterMalformed, FilterAmbiguous, FilterTooLarge, FilterTooDeep.
    """
    _measure(text)
    if not text.strip():
        return None
    try:
        tree = _GRAMMAR.parse(text)
    except UnexpectedInput as refusal:
        raise _malformed(text, refusal) from None
    terms = sum(1 for _ in tree.find_data("comparison"))
    if terms > TERMS:
        raise _refused(FilterTooLarge, f"A filter has at most {TERMS} terms; this one has {terms}")
    return next(_chain(text, child) for child in tree.children if isinstance(child, Tree))


_MEASURED = re.compile(
    r""""(?:\\.|[^"\\])*" | (?P<open>[(\[]) | (?P<close>[)\]])
      | (?P<no>\b(?:not|non|не)\b) | \w+ | [^\s\w]""",
    re.IGNORECASE | re.VERBOSE,
)


def _measure(text: str) -> None:
    """Refuses what is too long, too deep or no text before anything walks it. NOT nests as parentheses do."""
    if len(text) > LENGTH:
        raise _refused(
            FilterTooLarge, f"A filter has at most {LENGTH:,} characters; this one has {len(text):,}"
        )
    if unstorable := re.search(r"[\0\ud800-\udfff]", text):
        raise _refused(FilterMalformed, "A filter has no NUL and no surrogates", unstorable.start())
    depths, nots = [0], 0
    for piece in _MEASURED.finditer(text):
        match piece.lastgroup:
            case "no":
                nots += 1
            case "open":
                depths.append(depths[-1] + nots + 1)
                nots = 0
            case "close":
                depths, nots = depths[:-1] or [0], 0
            case _:
                nots = 0
        if depths[-1] + nots > DEPTH:
            raise _refused(FilterTooDeep, f"A filter nests at most {DEPTH} deep", piece.start())


def _chain(text: str, tree: Tree[Token]) -> Node:
    words = [child.type for child in tree.children if isinstance(child, Token)]
    terms = [child for child in tree.children if isinstance(child, Tree)]
    if len(set(words)) > 1:
        raise _ambiguous(text, tree, terms, words)
    if not words:
        return _term(text, terms[0])
    return Joined(word="and" if words[0] == "AND" else "or", parts=tuple(_term(text, term) for term in terms))


def _term(text: str, tree: Tree[Token]) -> Node:
    tokens = [child for child in tree.children if isinstance(child, Token)]
    within = [child for child in tree.children if isinstance(child, Tree)]
    match tree.data:
        case "negated":
            return Negated(part=_term(text, within[0]))
        case "group":
            return _chain(text, within[0])
        case _:
            field, operator, *single = tokens
            listed = [token for each in within for token in each.children if isinstance(token, Token)]
            return Comparison(
                field=field.lower(),
                operator=_OPERATORS.get(operator) or Operator(operator),
                operands=tuple(_operand(token) for token in single or listed),
                many=bool(within),
                column=_column(field),
            )


def _operand(token: Token) -> Operand:
    """A quoted value is always text; only a bare `null` is the absence of one."""
    if token.type == "STRING":
        return Operand(text=re.sub(r'\\(["\\])', r"\1", token[1:-1]), column=_column(token))
    return Operand(text=str(token), column=_column(token), null=token.lower() in ("null", "none"))


def _column(token: Token) -> int:
    return (token.start_pos or 0) + 1


def _ambiguous(text: str, tree: Tree[Token], terms: list[Tree[Token]], words: list[str]) -> ListRefused:
    sources = [text[term.meta.start_pos : term.meta.end_pos] for term in terms]
    joints = [child for child in tree.children if isinstance(child, Token)]
    turn = next(after for before, after in pairwise(joints) if before.type != after.type)
    readings = " or ".join(f"`{_reading(sources, words, tight)}`" for tight in ("AND", "OR"))
    return _refused(FilterAmbiguous, f"AND and OR are mixed; set parentheses: {readings}", turn.start_pos)


def _reading(sources: list[str], words: list[str], tight: str) -> str:
    """The same terms with parentheses, where `tight` binds tighter than the other word."""
    groups = [[sources[0]]]
    for word, source in zip(words, sources[1:], strict=True):
        if word == tight:
            groups[-1].append(source)
        else:
            groups.append([source])
    loose = "OR" if tight == "AND" else "AND"
    whole = f" {loose} ".join(
        f"({f' {tight} '.join(group)})" if len(group) > 1 else group[0] for group in groups
    )
    return whole if len(whole) <= 300 else f"{whole[:299]}…"


def _malformed(text: str, refusal: UnexpectedInput) -> ListRefused:
    at: int | None = refusal.pos_in_stream
    match refusal:
        case UnexpectedToken():
            wanted = refusal.accepts or refusal.expected
            at = len(text) if refusal.token.type == "$END" else at
        case UnexpectedCharacters():
            wanted = refusal.allowed
        case _:
            wanted = set()
    choices = sorted({_EXPECTED.get(name, name) for name in wanted})
    hint = "; text with spaces or signs stands in double quotes" if "a value" in choices else ""
    return _refused(FilterMalformed, f"Expected {' or '.join(choices)}{hint}", at)


def _refused(refusal: type[ListRefused], detail: str, at: int | None = None) -> ListRefused:
    """`at` counts from 0, as Python does; people count columns from 1."""
    column = None if at is None else at + 1
    where = "." if column is None else f" (column {column})."
    return refusal(detail + where, parameter="filter", column=column)
