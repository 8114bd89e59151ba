"""Unlimited procedural shapes: furniture, household things, vehicles and free forms as exact signed distances.

`catalogue.make_solids` draws shapes (number k of seed s is always the same), `grid.solids_to_sdf` gives their distance
grids as training takes them, `field` their field and colours at any points; all batched in PyTorch on any device.
Pictures of them are made by `rendering.sphere_tracing`, training batches by `data.procedural`. Import from the modules.
"""
