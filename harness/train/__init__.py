"""The training stages: pretraining of the miniature base, SFT and GRPO through trl, and what proves that they did
what was asked."""
