import pytest
import torch
from torch import Tensor, nn

from wavemesh.errors import InputError
from wavemesh.models.wavemesh_unet import WaveMeshUNet
from wavemesh.sparse.tensor import SparseTensor


def small_unet(**changes: object) -> WaveMeshUNet:
    """A network away from the zeros at which it starts."""
    settings = {
        "in_channels": 3,
        "encoder_channels": (8, 12, 16),
        "decoder_channels": (20, 12, 6),
        "time_emb_dim": 16,
        "context_dim": 10,
        "out_channels": 2,
        "num_levels": 3,
    }
    unet = WaveMeshUNet(**(settings | changes))
    for parameter in unet.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return unet


def sparse_input(batch: int = 2, channels: int = 3, density: float = 0.3) -> SparseTensor:
    return SparseTensor.from_dense(torch.randn(batch, channels, 8, 8, 8), torch.rand(batch, 8, 8, 8) < density)


def test_the_constructor_of_the_roadmap_and_its_contexts() -> None:
    unet = WaveMeshUNet(
        in_channels=1,
        encoder_channels=[32, 64, 128, 256],
        decoder_channels=[256, 128, 64, 32],
        time_emb_dim=256,
        use_attention=True,
        context_dim=768,
    )
    x, t = sparse_input(channels=1, density=0.05), torch.tensor([0, 999])
    for context in (None, torch.randn(2, 768), torch.randn(2, 3, 768)):
        out = unet(x, t, context)
        assert out.sites is x.sites
        assert out.features.shape == x.features.shape
        assert not out.features.any()  # zero-initialised


def test_full_grid_equals_sparse_with_all_sites_active() -> None:
    unet = small_unet()
    volume, t, context = torch.randn(2, 3, 8, 8, 8), torch.tensor([3, 700]), torch.randn(2, 4, 10)
    dense = unet(SparseTensor.from_dense(volume), t, context, level=1)
    sparse = unet(SparseTensor.from_dense(volume, torch.ones(2, 8, 8, 8, dtype=torch.bool)), t, context, level=1)
    assert dense.is_full
    assert not sparse.is_full
    torch.testing.assert_close(dense.features, sparse.features, rtol=1e-4, atol=1e-4)


def test_backends_agree() -> None:
    reference, spconv = small_unet(backend="reference"), small_unet(backend="spconv")
    spconv.load_state_dict(reference.state_dict())
    x, t = sparse_input(), torch.tensor([3, 700])
    torch.testing.assert_close(spconv(x, t).features, reference(x, t).features, rtol=1e-4, atol=1e-4)


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match="'cudnn'"):
        WaveMeshUNet(backend="cudnn")


@pytest.mark.parametrize("density", [0.3, None])
def test_every_parameter_gets_a_gradient(density: float | None) -> None:
    unet = small_unet(blocks_per_level=(1, 2, 1), dropout=0.1)
    x = sparse_input(density=density) if density else SparseTensor.full(2, (8, 8, 8), torch.randn(1024, 3))
    unet(
        x, torch.tensor([3, 700]), torch.randn(2, 4, 10), level=torch.tensor([0, 2])
    ).features.square().sum().backward()
    for name, parameter in unet.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_a_network_at_its_start_learns() -> None:
    unet = WaveMeshUNet(3, (8, 8), (8, 8), 16, context_dim=None)
    x, t = sparse_input(), torch.tensor([3, 700])
    optimiser = torch.optim.Adam(unet.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = (unet(x, t).features - x.features).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_the_result_repeats_bit_for_bit() -> None:
    unet, x, t, context = small_unet(), sparse_input(), torch.tensor([3, 700]), torch.randn(2, 10)
    assert torch.equal(unet(x, t, context).features, unet(x, t, context).features)


def test_each_condition_matters_and_no_context_is_a_context_of_zeros() -> None:
    unet, x = small_unet(), sparse_input()

    def run(t: Tensor, context: Tensor | None = None, level: int | None = None) -> Tensor:
        return unet(x, t, context, level).features

    early, late = torch.tensor([3, 3]), torch.tensor([700, 700])
    base = run(early)
    torch.testing.assert_close(run(early, torch.zeros(2, 10)), base)
    torch.testing.assert_close(run(early, torch.zeros(2, 5, 10), 0), base)
    torch.testing.assert_close(run(early.float()), base)
    for other in (run(late), run(early, torch.randn(2, 10)), run(early, level=2)):
        assert (other - base).abs().max() > 1e-3


def test_conditions_matter_without_adaptive_norms_too() -> None:
    unet, x, t = small_unet(adaptive_norm=False), sparse_input(), torch.tensor([3, 700])
    base = unet(x, t).features
    for other in (unet(x, t.flip(0)), unet(x, t, torch.randn(2, 10)), unet(x, t, level=2)):
        assert (other.features - base).abs().max() > 1e-3
    # They enter at the first layer only: no gradient reaches the maps from condition to scale, shift and gate.
    base.sum().backward()
    assert unet.condition_in is not None
    assert unet.condition_in.weight.grad is not None
    assert not unet.norm_out.time_mlp.weight.grad.any()


def test_samples_do_not_see_each_other() -> None:
    unet, x = small_unet(), SparseTensor.full(2, (8, 8, 8), torch.randn(1024, 3))
    t, context = torch.tensor([3, 700]), torch.randn(2, 4, 10)
    alone = unet(SparseTensor.full(1, (8, 8, 8), x.features[512:]), t[1:], context[1:])
    torch.testing.assert_close(unet(x, t, context).features[512:], alone.features, rtol=1e-4, atol=1e-4)


def test_autocast_runs_in_bfloat16() -> None:
    unet, x = small_unet(), SparseTensor.full(2, (8, 8, 8), torch.randn(1024, 3))
    t, context = torch.tensor([3, 700]), torch.randn(2, 4, 10)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = unet(x, t, context).features
    assert out.dtype == torch.bfloat16
    expected = unet(x, t, context).features
    assert (out.float() - expected).norm() < 0.05 * expected.norm()


def test_networks_without_context_attention_or_levels() -> None:
    x, t = sparse_input(), torch.tensor([3, 700])
    plain = small_unet(context_dim=None, use_attention=False, num_levels=0)
    assert plain(x, t).features.shape == (len(x.sites), 2)
    with pytest.raises(InputError, match="takes no context"):
        plain(x, t, torch.randn(2, 10))
    with pytest.raises(InputError, match="built without levels, got level 1"):
        plain(x, t, level=1)
    single = small_unet(encoder_channels=[8], decoder_channels=[8])
    assert single(x, t).features.shape == (len(x.sites), 2)


def test_blocks_of_the_decoder_mirror_the_encoder_or_are_its_own() -> None:
    def counts(unet: WaveMeshUNet) -> tuple[list[int], list[int]]:
        return [len(level) for level in unet.encoder], [len(level) for level in unet.decoder]

    assert counts(small_unet(blocks_per_level=2)) == ([2, 2, 2], [2, 2, 2])
    assert counts(small_unet(blocks_per_level=(0, 1, 2))) == ([0, 1, 2], [2, 1, 0])
    uneven = small_unet(blocks_per_level=(0, 1, 2), decoder_blocks=(1, 0, 3))
    assert counts(uneven) == ([0, 1, 2], [1, 0, 3])
    x = sparse_input()
    assert uneven(x, torch.tensor([3, 700])).features.shape == (len(x.sites), 2)


def test_what_does_not_fit_is_refused() -> None:
    unet, x, t = small_unet(), sparse_input(), torch.tensor([3, 700])
    with pytest.raises(InputError, match=r"\(2, 11\)"):
        unet(x, t, torch.randn(2, 11))
    with pytest.raises(InputError, match=r"\(3,\)"):
        unet(x, torch.tensor([1, 2, 3]))
    with pytest.raises(InputError, match="from 0 to 2, got 3"):
        unet(x, t, level=3)
    with pytest.raises(InputError, match="one entry per level"):
        WaveMeshUNet(encoder_channels=[8, 8], decoder_channels=[8])
    with pytest.raises(InputError, match=r"3 entries, one per level, not \[1, 2\]"):
        small_unet(decoder_blocks=[1, 2])
    with pytest.raises(InputError, match="cannot be halved"):
        unet(SparseTensor.full(1, (8, 8, 6), torch.zeros(384, 3)), torch.tensor([1]))
