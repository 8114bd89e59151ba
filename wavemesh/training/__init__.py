"""Training: the loop that all systems share, the systems' tasks, and the presets."""
