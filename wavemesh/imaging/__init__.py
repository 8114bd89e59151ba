"""Untrusted pictures become clean RGBA: reading, background removal, and crops that remember where they were."""

from wavemesh.imaging.background import METHODS, Cutout, cut_out, remove_background
from wavemesh.imaging.cropping import CROP_MARGIN, FOREGROUND_ALPHA, Crop, crop_foreground, pad_to_square
from wavemesh.imaging.reading import MAX_MEGAPIXELS, MAX_SIDE, PictureSource, read_picture

__all__ = [
    "CROP_MARGIN",
    "FOREGROUND_ALPHA",
    "MAX_MEGAPIXELS",
    "MAX_SIDE",
    "METHODS",
    "Crop",
    "Cutout",
    "PictureSource",
    "crop_foreground",
    "cut_out",
    "pad_to_square",
    "read_picture",
    "remove_background",
]
