"""Data: where models come from, how they are prepared and how training reads them.

The cameras of the prepared pictures are decided in `cameras.py` (`training_cameras`, `canonical_cameras`) and nowhere
else.
"""
