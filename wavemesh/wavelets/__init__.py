"""Wavelets: filter banks, 2D and 3D transforms, and sparse coefficients of signed distance fields."""
