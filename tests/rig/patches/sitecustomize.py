"""Every process of a run imports this first: its clock may be told to be off, its leases be shorter, and one fault of
ours be switched on.
"""

import os

if "RIG_CLOCK" in os.environ:
    from tests.rig import clocks

    clocks.install(os.environ["RIG_CLOCK"])
if "RIG_LEASE" in os.environ:
    from tests.rig import clocks

    clocks.shorten_leases(float(os.environ["RIG_LEASE"]))
if os.environ.get("RIG_MUTANT"):
    from tests.rig import mutants

    mutants.install(os.environ["RIG_MUTANT"])
