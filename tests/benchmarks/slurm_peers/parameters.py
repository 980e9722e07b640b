"""What every job asks SLURM for, whoever submits it."""

MINUTES = 10
CPUS = 1
MEMORY_MB = 512
SIGNAL_BEFORE_S = 20
PARALLEL = 16
"""Tasks at once: a machine with few cores shall not be measured while it thrashes."""
