"""Networks: encoder, projective conditioning, the denoisers of both stages, the camera head."""
