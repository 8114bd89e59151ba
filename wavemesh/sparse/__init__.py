"""Sparse tensors and convolutions on the active cells of 3D grids."""
