"""A decoder and a triplane made by hand: a red ball whose surface is known exactly."""

import torch

from wavemesh.models.triplane_renderer import TriplaneRenderer

RADIUS = 0.6
COLOUR = torch.tensor([0.9, 0.3, 0.2])


def ball_renderer(beta: float = 0.005) -> TriplaneRenderer:
    """A decoder for one channel a plane; the features' sum is the squared distance from the centre.

    SiLU(a) - SiLU(-a) = a, so a pair of units carries a number through the activations unchanged.
    """
    renderer = TriplaneRenderer(1, 2)
    gain = 1 / (2 * RADIUS * renderer.truncation)
    with torch.no_grad():
        pair = torch.tensor([[1.0], [-1.0]])
        renderer.mlp[0].weight.copy_(gain * pair.expand(2, 3))
        renderer.mlp[0].bias.copy_(-gain * RADIUS**2 * pair[:, 0])
        renderer.mlp[2].weight.copy_(pair @ pair.T)
        renderer.mlp[2].bias.zero_()
        renderer.mlp[4].weight.zero_()
        renderer.mlp[4].weight[0] = pair[:, 0]
        renderer.mlp[4].bias.zero_()
        renderer.mlp[4].bias[1:] = torch.logit(COLOUR)
        renderer.log_beta.fill_(torch.tensor(beta - 0.001).log())
    return renderer


def ball_triplane(resolution: int = 128) -> torch.Tensor:
    """XY holds x^2 + y^2, XZ holds z^2, YZ nothing."""
    axis = (torch.arange(resolution) + 0.5) / resolution * 2 - 1
    square = axis.square()
    xy = square[:, None] + square[None, :]
    xz = square[:, None].expand(-1, resolution)
    return torch.stack([xy, xz, torch.zeros_like(xy)])[None, :, None]
