"""The rig: a whole Chancery under faults, and whether what it promised still holds. `make rig SEED=1 SECONDS=300`."""
