"""The tab Triplane: the planes of a run, seen and decoded."""
