"""The tab Result: the mesh looked at, repaired and saved."""
