"""A foreign module's questions: what follows, and when nothing changes."""

from uuid import UUID

from domain.module.aggregate import MODULE
from domain.module.commands import RegisterModule
from domain.module.events import ModuleChanged, ModuleRegistered
from domain.module.guards import ACTION, SCOPE, guards
from domain.shared import Claim
from tests.scenario import given

TW = {"module": "tw", "actions": ("edit", "view"), "scope_types": ("site",)}
OTHER = TW | {"actions": ("view",)}


def test_a_module_is_registered_once_and_changed_after():
    given(MODULE).when(RegisterModule(**TW)).then(ModuleRegistered(**TW))
    given(MODULE, ModuleRegistered(**TW)).when(RegisterModule(**TW)).then_nothing()
    given(MODULE, ModuleRegistered(**TW)).when(RegisterModule(**OTHER)).then(ModuleChanged(**OTHER))
    given(MODULE, ModuleRegistered(**TW), ModuleChanged(**OTHER)).when(RegisterModule(**OTHER)).then_nothing()


def test_it_keeps_what_can_be_granted():
    assert guards(UUID(int=1), ModuleChanged(**TW)) == (
        Claim(kind=ACTION, values=("tw:edit", "tw:view")),
        Claim(kind=SCOPE, values=("tw:site",)),
    )
