"""The models: prompt styles as chat templates, processors without video, the miniature Qwen2-VL, checkpoints."""
