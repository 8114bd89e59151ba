"""The measures of the world's frame: how large objects are in it, and how far a signed distance field looks.

Without any import, so that a page can lay out its sliders before anything heavy is loaded.
"""

BOX_SIDE = 1.8  # longest side of an object's bounding box
TRUNCATION = 0.09  # largest distance that a field holds, in units of the world


def beside(azimuth_deg: float, elevation_deg: float) -> tuple[float, float]:
    """Azimuth and elevation of a look from a little to the side of a camera.

    Straight on, a person sees only what the picture shows already.
    """
    return azimuth_deg + 30.0, min(35.0, max(15.0, elevation_deg))
