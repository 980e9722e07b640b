"""How it gets computed: each stage is one submitit job, the runner starts those whose inputs are done.

The stage's code is named by kind (`kinds.KINDS`) and imported inside the job alone.
"""
