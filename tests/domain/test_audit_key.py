"""The log's keys: one follows another, and who trusted the first is told."""

from datetime import UTC, datetime

from domain.audit_key.aggregate import AUDIT_KEY, AuditKeyUnknown
from domain.audit_key.commands import RotateAuditKey
from domain.audit_key.events import AuditKeyRotated
from tests.scenario import given

TERMS = {"vkey": "log+2+new", "follows": ("log+1+old",), "until": datetime(2026, 6, 2, tzinfo=UTC)}


def test_a_key_follows_another():
    given(AUDIT_KEY).when(RotateAuditKey(**TERMS)).then(AuditKeyRotated(**TERMS))


def test_the_same_key_follows_once():
    given(AUDIT_KEY, AuditKeyRotated(**TERMS)).when(RotateAuditKey(**TERMS)).then()


def test_no_key_follows_none():
    given(AUDIT_KEY).when(RotateAuditKey(**TERMS | {"follows": ()})).then_refused(AuditKeyUnknown)
