"""The figures: real servers with fsync on, beside what we compare ourselves with, in one run on one machine."""
