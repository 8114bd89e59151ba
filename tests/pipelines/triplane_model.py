"""A tiny triplane system whose every part does something: its pictures, planes and details all leave a trace."""

import torch

from wavemesh.models.wavelet_triplane import TriplaneConfig, WaveletTriplaneDiffusion

TINY_TRIPLANE = TriplaneConfig(
    triplane_channels=2, resolution=8, image_size=32, width=8, time_embed_dim=16, condition_dim=16, hidden_dim=8
)


def tiny_triplane(seed: int = 3) -> WaveletTriplaneDiffusion:
    """Random weights; the layers that start at zero are drawn as well, so that there is a surface and noise counts."""
    torch.manual_seed(seed)
    model = WaveletTriplaneDiffusion(config=TINY_TRIPLANE)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.2)
        model.renderer.mlp[-1].weight.normal_(std=2.0)
        # Mostly outside, or the surface would be everywhere.
        shown = torch.full((1, 4, 32, 32), 0.7)
        shown[:, :, :4] = 0.0
        field = model.renderer.sdf_grid(model.eval().sample(shown, steps=1).triplane, 16)
        model.renderer.mlp[-1].bias[0] -= torch.atanh(field.quantile(0.3) / model.renderer.truncation)
    return model
