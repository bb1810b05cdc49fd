"""A check says once what it found."""

from domain.check.aggregate import CHECK
from domain.check.commands import CompleteCheck
from domain.check.events import CheckCompleted, ModelDigest, TableDigest
from tests.scenario import given

TABLE = TableDigest(table="user", rows=2, sha256="00" * 32, views="11" * 32)
FOUND = {
    "size": 7,
    "root": bytes(32),
    "models": (ModelDigest(model="user", model_version=3, position=7, tables=(TABLE,)),),
    "rebuilt": ("user",),
    "differing": 1,
    "differences": ("guard claims x: missing",),
    "seconds": 2,
}


def test_it_is_completed():
    given(CHECK).when(CompleteCheck(**FOUND)).then(CheckCompleted(**FOUND))


def test_it_is_completed_once():
    given(CHECK, CheckCompleted(**FOUND)).when(CompleteCheck(**FOUND | {"differing": 0})).then_nothing()
