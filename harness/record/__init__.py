"""What was done: stage folders, states, provenance, table schemas.

Every file is written to a temporary name, synced and renamed; a folder is done when its manifest agrees.
Knows of studies only their plain stages and runs.
"""
