"""A plan on a SLURM cluster: job arrays that need nobody to wait for them, and what the scheduler knows of them.

The run folders say what is done; the scheduler is asked only what is pending or running, and what became of the rest.
"""
