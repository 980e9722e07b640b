"""Evaluation: what checkpoints write, or find likely, under a protocol. Scoring comes later, when collecting."""
