"""Networks: encoder, projective conditioning, denoisers, camera head, and the stages of the triplane system."""
