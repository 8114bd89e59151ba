"""Sparse convolution by the spconv library, the alternative to `wavemesh.sparse.reference`.

spconv 2.3.8 asks for a CUDA stream in the CPU backward, which fails without CUDA; stream 0, which it ignores there,
mends that. It has no bfloat16: such features are computed in float32 and returned as bfloat16. On CUDA it has not been
measured.
"""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Float
from torch import Tensor

from wavemesh.sparse import reference
from wavemesh.sparse.tensor import Sites

with warnings.catch_warnings():
    # What spconv 2.3.8 imports asks for the locale in a deprecated way.
    warnings.simplefilter("ignore", DeprecationWarning)
    import spconv.pytorch.ops as spconv_ops
    from spconv.core import ConvAlgo
    from spconv.pytorch import functional

if not torch.cuda.is_available():
    spconv_ops.get_current_stream = lambda: 0

# Steps of kernel 2 and stride 2 never read a cell twice: a gather and one product is all there is, so they are shared.
down = reference.down
up = reference.up


def submanifold(x: Float[Tensor, "m i"], weight: Float[Tensor, "o k k k i"], sites: Sites) -> Float[Tensor, "m o"]:
    """Convolution of odd kernel size onto the same sites, without bias."""
    if weight.shape[1] == 1 or not len(sites):
        return reference.submanifold(x, weight, sites)
    dtype = torch.float32 if x.dtype == torch.bfloat16 else x.dtype
    pairs, pair_counts = _index_pairs(sites, weight.shape[1])
    with torch.autocast(x.device.type, enabled=False):
        out = functional.indice_subm_conv(
            x.to(dtype).contiguous(), weight.to(dtype).contiguous(), pairs, pair_counts, len(sites), ConvAlgo.Native
        )
    return out.to(x.dtype)


def _index_pairs(sites: Sites, kernel: int) -> tuple[Tensor, Tensor]:
    """The library's own kernel map, kept with the sites."""
    if ("spconv", kernel) not in sites.cache:
        ones = [1, 1, 1]
        _, pairs, pair_counts = spconv_ops.get_indice_pairs(
            sites.coords.int(), sites.batch_size, list(sites.spatial_shape), ConvAlgo.Native,
            ksize=[kernel] * 3, stride=ones, padding=[kernel // 2] * 3, dilation=ones, out_padding=[0, 0, 0], subm=True,
        )  # fmt: skip
        sites.cache["spconv", kernel] = (pairs, pair_counts)
    return sites.cache["spconv", kernel]
