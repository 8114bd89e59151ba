import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wavemesh.errors import InputError
from wavemesh.models.blocks import (
    AdaptiveLayerNorm,
    AttentionBlock,
    ResidualBlock,
    TimeEmbedding,
    add_gated,
    normalise_sites,
    sinusoidal_embedding,
)
from wavemesh.sparse.tensor import SparseTensor


def random_tensor(channels: int = 8, batch: int = 3) -> SparseTensor:
    return SparseTensor.from_dense(torch.randn(batch, channels, 4, 4, 4), torch.rand(batch, 4, 4, 4) < 0.5)


def randomise(module: nn.Module) -> None:
    """Away from the zeros at which blocks start."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)


def test_sinusoidal_embedding_by_hand() -> None:
    expected = [math.cos(3), math.cos(3 * 0.01), math.sin(3), math.sin(3 * 0.01)]
    torch.testing.assert_close(sinusoidal_embedding(torch.tensor([3]), 4), torch.tensor([expected]))
    assert torch.equal(sinusoidal_embedding(torch.tensor([3.0]), 4), sinusoidal_embedding(torch.tensor([3]), 4))
    with pytest.raises(InputError, match="got 5"):
        sinusoidal_embedding(torch.tensor([3]), 5)


def test_time_embedding_tells_steps_apart() -> None:
    out = TimeEmbedding(16)(torch.tensor([0, 1, 999]))
    assert out.shape == (3, 16)
    assert torch.pdist(out).min() > 1e-3


def test_adaptive_layer_norm_starts_as_a_layer_norm() -> None:
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(AdaptiveLayerNorm(8, 4)(x, torch.randn(2, 4)), F.layer_norm(x, (8,)))


def test_adaptive_layer_norm_scales_and_shifts() -> None:
    norm = AdaptiveLayerNorm(8, 4)
    randomise(norm)
    x, time_emb = torch.randn(2, 5, 8), torch.randn(2, 4)
    scale, shift = norm.time_mlp(time_emb).chunk(2, dim=-1)
    for sample in range(2):
        expected = F.layer_norm(x[sample], (8,)) * (1 + scale[sample]) + shift[sample]
        torch.testing.assert_close(norm(x, time_emb)[sample], expected)
        torch.testing.assert_close(norm(x[sample], time_emb[sample]), expected)


@pytest.mark.parametrize("full", [True, False])
def test_norm_and_gate_take_each_sites_own_sample(full: bool) -> None:
    sparse = random_tensor()
    if full:
        sparse = SparseTensor.from_dense(torch.randn(3, 8, 4, 4, 4))
    scale, shift = torch.randn(3, 8), torch.randn(3, 8)
    index = sparse.batch_index
    expected = F.layer_norm(sparse.features, (8,)) * scale[index] + shift[index]
    torch.testing.assert_close(normalise_sites(sparse.features, sparse.sites, scale, shift), expected)
    update = torch.randn_like(sparse.features)
    gated = add_gated(sparse.features, update, sparse.sites, scale)
    torch.testing.assert_close(gated, sparse.features + scale[index] * update)


def test_other_devices_take_the_same_norm_in_one_go() -> None:
    sparse = random_tensor()
    scale, shift = torch.randn(3, 8), torch.randn(3, 8)
    on_cpu = normalise_sites(sparse.features, sparse.sites, scale, shift)
    in_one_go = torch.addcmul(
        sparse.sites.spread(shift), F.layer_norm(sparse.features, (8,)), sparse.sites.spread(scale)
    )
    torch.testing.assert_close(on_cpu, in_one_go)


def test_blocks_start_as_the_identity() -> None:
    sparse, time_emb, context = random_tensor(), torch.randn(3, 6), torch.randn(3, 2, 5)
    assert torch.equal(ResidualBlock(8, 6)(sparse, time_emb).features, sparse.features)
    assert torch.equal(AttentionBlock(8, 6, 5)(sparse, time_emb, context).features, sparse.features)


def test_every_parameter_of_the_blocks_gets_a_gradient() -> None:
    sparse, time_emb, context = random_tensor(), torch.randn(3, 6), torch.randn(3, 2, 5)
    residual, attention = ResidualBlock(8, 6, dropout=0.1), AttentionBlock(8, 6, 5, head_dim=4)
    randomise(residual)
    randomise(attention)
    attention(residual(sparse, time_emb), time_emb, context).features.square().sum().backward()
    for name, parameter in [*residual.named_parameters(), *attention.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_attention_keeps_samples_apart_whatever_their_sizes() -> None:
    block = AttentionBlock(8, 6, 5, head_dim=4)
    randomise(block)
    sparse, time_emb, context = random_tensor(), torch.randn(3, 6), torch.randn(3, 2, 5)
    together = block(sparse, time_emb, context)
    for sample in range(3):
        mine = sparse.batch_index == sample
        coords = sparse.coords[mine] * torch.tensor([0, 1, 1, 1])
        alone = SparseTensor(sparse.features[mine], coords, (4, 4, 4), 1)
        out = block(alone, time_emb[sample : sample + 1], context[sample : sample + 1])
        torch.testing.assert_close(out.features, together.features[mine], rtol=1e-4, atol=1e-4)


def test_attention_knows_where_its_sites_are() -> None:
    block = AttentionBlock(8, 6)
    randomise(block)
    coords = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1], [0, 3, 3, 3]])
    features, time_emb = torch.randn(3, 8), torch.randn(1, 6)
    here = block(SparseTensor(features, coords, (4, 4, 4), 1), time_emb).features
    moved = block(SparseTensor(features, coords.clamp(max=2), (4, 4, 4), 1), time_emb).features
    assert (here - moved).abs().max() > 1e-3


def test_attention_width_must_fit_its_heads() -> None:
    with pytest.raises(InputError, match="width 65"):
        AttentionBlock(65, 6)
