"""Pipelines: pictures in, meshes and everything in between out."""

from wavemesh.pipelines.outputs import StepReport, TriplaneOutput, WaveMeshOutput
from wavemesh.pipelines.triplane import TriplanePipeline
from wavemesh.pipelines.views import PreparedView, View, prepare_views
from wavemesh.pipelines.wavemesh import WaveMeshPipeline

__all__ = [
    "PreparedView",
    "StepReport",
    "TriplaneOutput",
    "TriplanePipeline",
    "View",
    "WaveMeshOutput",
    "WaveMeshPipeline",
    "prepare_views",
]
