"""What runs: declares, launches, trains, evaluates and records comparative ablation studies."""
