"""Gaussian diffusion (Module C): noise schedule, training loss, samplers and classifier-free guidance."""

from wavemesh.diffusion.gaussian import GaussianDiffusion, Prediction, TrainingStep
from wavemesh.diffusion.guidance import BatchedGuidedModel, Guidance, GuidedModel, drop_condition, drop_mask, guided
from wavemesh.diffusion.samplers import SamplerStep, ddim, ddpm, dpmpp_2m, sample
from wavemesh.diffusion.schedule import NoiseSchedule

__all__ = [
    "BatchedGuidedModel",
    "GaussianDiffusion",
    "Guidance",
    "GuidedModel",
    "NoiseSchedule",
    "Prediction",
    "SamplerStep",
    "TrainingStep",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "drop_condition",
    "drop_mask",
    "guided",
    "sample",
]
