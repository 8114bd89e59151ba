"""The tab Steps: a run looked at step by step."""
