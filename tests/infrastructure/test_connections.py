"""Two of each process have all the connections they can ask for: found by the rig, where a sweeper waited for ten
minutes until idle connections of others' pools were given back."""

from infrastructure.embedded.postgres import CONNECTIONS
from projections.projection import discover

ROLES = 8
"""relay, signer, tile copy, keys, reactor, sweeper, and room for two."""
OF_ONE_SYSTEM = 8 + 8
"""Its pool, and what it keeps besides: writers, positions, keys, claims."""
RESERVED = 3 + 10
"""For superusers, and for commands such as `chancery projections rebuild`."""


def test_two_of_each_process_fit_into_the_embedded_database():
    work = len(discover()) + ROLES + len(discover()) + 3
    assert 2 * work + 6 * OF_ONE_SYSTEM + RESERVED < CONNECTIONS
