"""The questions: one record type, readers of SAT's and CV-Bench's files, and the miniature world that writes
files with the same columns."""
