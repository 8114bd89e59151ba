"""The tab Compare: a run against the truth and against other runs."""
