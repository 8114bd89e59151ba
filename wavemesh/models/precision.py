"""The precision that networks compute in: bfloat16 where the device multiplies it itself, float32 elsewhere.

Most CPUs of laptops, and GPUs before Ampere, have no bfloat16 arithmetic. PyTorch then imitates it, and a convolution
takes sixty times as long as in float32.
"""

from __future__ import annotations

import torch


def has_bfloat16(device: torch.device | str) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if torch.device(device).type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # No public name for this in torch 2.9; where these are missing or say no, float32 is right, if slower than need be.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in names)


def fast_dtypes(device: torch.device | str) -> tuple[torch.dtype, ...]:
    """The types worth computing in on the device, from the most exact to the fastest."""
    return (torch.float32, torch.bfloat16) if has_bfloat16(device) else (torch.float32,)


def autocast(device: torch.device | str) -> torch.autocast:
    """A context in which convolutions and products are computed in bfloat16, if the device has it."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=has_bfloat16(device))
