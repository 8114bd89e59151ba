"""Pipelines: pictures in, meshes and everything in between out."""

from wavemesh.pipelines.outputs import StepReport, WaveMeshOutput
from wavemesh.pipelines.views import PreparedView, View, prepare_views
from wavemesh.pipelines.wavemesh import WaveMeshPipeline

__all__ = ["PreparedView", "StepReport", "View", "WaveMeshOutput", "WaveMeshPipeline", "prepare_views"]
