"""Geometry: cameras, meshes, ray casting, signed distance grids, surfaces out of them, and colours for those.

Import from the modules: `camera` (the one place that knows axes and projections), `mesh` and `obj` (reading, placing),
`raycast` (first hits), `orbit_depth` and `sdf` (mesh to grid), `isosurface` (grid to mesh), `texture` (colours).
Nothing is loaded here, so that a camera costs neither Embree nor trimesh.
"""
