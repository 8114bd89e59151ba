import sys
from pathlib import Path

import pytest
import torch

from wavemesh.models import precision
from wavemesh.models.precision import autocast, fast_dtypes, has_bfloat16


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel lists the processor's abilities on Linux only")
def test_a_cpu_has_bfloat16_where_the_kernel_says_so() -> None:
    listed = Path("/proc/cpuinfo").read_text("utf-8").split()
    assert has_bfloat16("cpu") == ("avx512_bf16" in listed or "amx_tile" in listed)


@pytest.mark.parametrize("available, dtypes", ((True, (torch.float32, torch.bfloat16)), (False, (torch.float32,))))
def test_networks_compute_in_bfloat16_only_where_there_is_such_arithmetic(
    monkeypatch: pytest.MonkeyPatch, available: bool, dtypes: tuple[torch.dtype, ...]
) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: available)
    assert fast_dtypes("cpu") == dtypes
    with autocast(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtypes[-1]
