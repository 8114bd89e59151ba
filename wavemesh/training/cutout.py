"""Training of the network that cuts objects out, on scenes with the masks of their objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from wavemesh.config import to_dict
from wavemesh.data.scenes import MOVED, Scenes, moved, photographed_anew
from wavemesh.imaging.u2netp import SIDE, U2Netp, U2NetpConfig, network_input

_SIDE_WEIGHT, _OVERLAP_WEIGHT = 0.2, 0.5


class CutoutTask:
    """U-2-Net small; a batch is batch_size scenes, each photographed anew."""

    def __init__(self, data: str | Path | Scenes, config: U2NetpConfig, batch_size: int = 4) -> None:
        self.scenes = data if isinstance(data, Scenes) else Scenes(data)
        self.settings, self.batch_size = config, batch_size
        self.model: nn.Module = U2Netp(config).to(memory_format=torch.channels_last)

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """All by AdamW."""
        return [{"params": list(self.model.parameters()), "lr": lr}]

    def batches(self, seed: int, start_step: int) -> Iterator[dict[str, Tensor]]:
        """Endless batches of images (B, 3, SIDE, SIDE) and masks (B, 1, SIDE, SIDE)."""
        number = start_step
        while True:
            yield self.batch(np.random.default_rng((seed, number)))
            number += 1

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Scenes drawn at random."""
        images, masks = [], []
        for index in rng.integers(len(self.scenes), size=self.batch_size).tolist():
            scene = self.scenes.scene(index)
            if rng.random() < MOVED:
                scene = moved(*scene, self.scenes.ground(rng), rng)
            picture, mask = photographed_anew(*scene, rng)
            images.append(network_input(picture))
            masks.append(torch.from_numpy(cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA))[None])
        return {
            "images": torch.stack(images).contiguous(memory_format=torch.channels_last),
            "masks": torch.stack(masks),
        }

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, Any]]:
        """What `mask_loss` says, and the mean IoU."""
        logits = self.model.logits(batch["images"])
        loss = mask_loss(logits, batch["masks"])
        with torch.no_grad():
            found, true = logits[0] > 0, batch["masks"] >= 0.5
            iou = (found & true).sum(dim=(1, 2, 3)) / (found | true).sum(dim=(1, 2, 3)).clamp_min(1)
        return loss, {"iou": iou.mean(), "below_80": (iou < 0.8).float().mean()}

    def sample_pictures(self, ema_model: nn.Module) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def weights(self, model: nn.Module) -> dict[str, dict[str, Tensor]]:
        """The network's state."""
        return {"u2netp": model.state_dict()}

    def config(self) -> dict[str, Any]:
        """What is written beside the weights."""
        return to_dict(self.settings)


def mask_loss(logits: Sequence[Float[Tensor, "b 1 h w"]], masks: Float[Tensor, "b 1 h w"]) -> Tensor:
    """Surprise of the masks under the fused answer and, less, under those of all levels; and what overlap it lacks.

    Where the level's pixels are few, it is compared at full size all the same (Qin et al. 2020).
    """
    fused = logits[0].float()
    loss = functional.binary_cross_entropy_with_logits(fused, masks)
    likely = fused.sigmoid()
    shared = (likely * masks).sum(dim=(1, 2, 3))
    either = (likely + masks - likely * masks).sum(dim=(1, 2, 3))
    loss = loss + _OVERLAP_WEIGHT * (1.0 - (shared + 1.0) / (either + 1.0)).mean()
    for each in logits[1:]:
        loss = loss + _SIDE_WEIGHT * functional.binary_cross_entropy_with_logits(each.float(), masks)
    return loss
