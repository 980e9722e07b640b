"""Evaluation: turns checkpoints into completions under a protocol. Scoring comes later, when collecting."""
