"""Everything in memory that could grow while a process lives, and what bounds it, read from the code.

A container that outlives a call says next to it, in a comment `# bounded: ...`, why it does not grow for ever; so may
the class, of all that it has.
`python -m tests.bounds` writes docs/bounds.md anew.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "bounds.md"
LAYERS = ("api", "application", "domain", "infrastructure", "projections", "workers")
GROWING = frozenset(
    {
        *("dict", "list", "set", "deque", "defaultdict", "OrderedDict", "Counter", "bytearray"),
        *("WeakValueDictionary", "WeakKeyDictionary", "Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    }
)
FIXED = frozenset({"maxlen", "maxsize"})
POOLS = {
    "Bounded": "so many threads, so many waiting, then Busy (503)",
    "ThreadPoolExecutor": "so many threads; whoever gives them work counts what waits",
    "Semaphore": "so many at once, the others wait",
    "open_pool": "so many connections, WAITING wait 5 s each, then 503",
    "Streams": "so many in all and of one, then StreamsFull (503)",
    "cheap": "so many in all and of one, then StreamsFull (503)",
    "admission_of": "so many of each kind in flight, then Overloaded (503)",
}
"""What has its bound in its arguments."""
SAID, ABOVE = re.compile(r"# bounded: (.+)$"), re.compile(r"\s*# bounded: (.+)$")
HEAD = """# What is kept in memory, and what bounds it

Read from the code by `python -m tests.bounds`, and compared with it in the tests: a queue, cache or buffer that
outlives a call says beside it why it does not grow for ever. What is past a limit that an operator can set is told
`503 overloaded`: see [how to](how-to/overload.md).

| where | what | bounded |
|---|---|---|
"""


class Container(NamedTuple):
    """`bound`: what the code says bounds it; None: nothing is said."""

    path: str
    line: int
    name: str
    bound: str | None


def containers() -> Iterator[Container]:
    for layer in LAYERS:
        for path in sorted((ROOT / layer).rglob("*.py")):
            yield from of_module(path.relative_to(ROOT).as_posix(), path.read_text())


def of_module(path: str, text: str) -> Iterator[Container]:
    lines, seen = ["", *text.splitlines()], set[str]()
    tree = ast.parse(text)
    classes = {
        f"{node.name}.": SAID.search(lines[node.lineno])
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    for name, line, bound in _found(tree, ""):
        of_all = next((said for prefix, said in classes.items() if name.startswith(prefix)), None)
        said = SAID.search(lines[line]) or ABOVE.match(lines[line - 1]) or of_all
        if name not in seen:  # where it is emptied again nothing need be said
            seen.add(name)
            yield Container(path, line, name, said[1] if said else bound)


def _found(node: ast.AST, of: str) -> Iterator[tuple[str, int, str | None]]:
    """Name, line, and the bound where the expression itself has one."""
    for child in ast.iter_child_nodes(node):
        inside = f"{of}{child.name}." if isinstance(child, ast.ClassDef) else of
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                for each in child.decorator_list:
                    if (bound := _of_cache(each)) is not None:
                        yield f"{of}{child.name}()", each.lineno, bound or None
            case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=value):
                yield from _assigned(target, value, of, kept=isinstance(node, ast.Module))
            case ast.Call(func=function) if (pool := POOLS.get(_name(function))) is not None:
                yield " ".join(ast.unparse(child).split()), child.lineno, pool
            case _:
                pass
        yield from _found(child, inside)


def _of_cache(decorator: ast.expr) -> str | None:
    """None: it is no cache; empty: it has no bound."""
    call = decorator if isinstance(decorator, ast.Call) else None
    name = _name(call.func if call else decorator)
    if name not in ("cache", "lru_cache"):
        return None
    size = [*call.args, *(each.value for each in call.keywords if each.arg in FIXED)] if call else []
    if name == "cache" or not size or (isinstance(size[0], ast.Constant) and size[0].value is None):
        return ""
    return f"by {ast.unparse(size[0])} entries, the one unused for longest goes"


def _assigned(
    target: ast.expr, value: ast.expr | None, of: str, *, kept: bool
) -> Iterator[tuple[str, int, str | None]]:
    """Attributes of an object, and what a module keeps."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=False):
            yield from _assigned(one, its, of, kept=kept)
    attribute = isinstance(target, ast.Attribute) and _name(target.value) == "self"
    if value is None or not (attribute or kept) or not isinstance(target, ast.Attribute | ast.Name):
        return
    name = target.attr if isinstance(target, ast.Attribute) else target.id
    match value:
        case ast.Dict(keys=[]) | ast.List(elts=[]):
            yield f"{of}{name}", target.lineno, None
        case ast.Call(func=function, args=args, keywords=keywords) if _name(function) in GROWING:
            fixed = next((ast.unparse(each.value) for each in keywords if each.arg in FIXED), None)
            if fixed is not None:
                yield f"{of}{name}", target.lineno, f"by {fixed}, the oldest goes"
            elif not args or _name(function) == "defaultdict":
                yield f"{of}{name}", target.lineno, None
        case _:
            pass


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
        case _:
            return ""


def page() -> str:
    rows = [f"| `{each.path}` | `{each.name}` | {each.bound} |" for each in containers()]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
