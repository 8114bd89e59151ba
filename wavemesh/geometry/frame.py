"""The measures of the world's frame: how large objects are in it, and how far a signed distance field looks.

Without any import, so that a page can lay out its sliders before anything heavy is loaded.
"""

BOX_SIDE = 1.8  # longest side of an object's bounding box
TRUNCATION = 0.09  # largest distance that a field holds, in units of the world
