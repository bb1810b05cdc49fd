"""The figures: each part runs real servers with fsync on, beside what it is compared with, in one run on one machine."""
