"""Endpoints for programs beside "generate": views of a mesh, and a run measured against a mesh."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.ui.compare.content import measure
from wavemesh.ui.generate.truth import rendered_pictures
from wavemesh.ui.pictures import Number
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.notices import refused
from wavemesh.ui.workspace import new_result_folder


def add_compare_api(studio: Studio) -> None:
    """Add the endpoints "render_views" and "compare" to the current Blocks; nothing of them is seen on the page."""
    with gr.Column(visible=False):
        mesh = gr.File(label="Mesh: .glb .obj .ply .stl .off", type="filepath")
        bundle = gr.File(label="Run bundle (.zip)", type="filepath")
        views = gr.Number(4, label="Number of views, 1 to 8", precision=0)
        azimuth = gr.Number(30, label="Azimuth of the first view, degrees")
        elevation = gr.Number(20, label="Elevation of all views, degrees")
        pictures = gr.File(label="Pictures", file_count="multiple")
        cameras = gr.JSON(label="Cameras, as generate takes them")
        scores = gr.JSON(label="Scores")
        render_button, compare_button = gr.Button("Render views"), gr.Button("Compare")

    @refused
    def render_views(
        mesh: str | None, views: Number | None, azimuth: Number | None, elevation: Number | None
    ) -> tuple[list[str], list[dict[str, Any]]]:
        """Render views of a mesh from a ring of cameras; the cameras come back as generate takes them.

        Args:
            mesh: A file with the suffix .glb, .obj, .ply, .stl or .off.
            views: How many, 1 to 8; they go evenly round the mesh.
            azimuth: Of the first view, in degrees; 0 is the front.
            elevation: Of all views, -90 to 90 degrees.

        Returns:
            The pictures and their cameras.
        """
        if not mesh:
            raise InputError("No mesh was given.")
        rendered = rendered_pictures(mesh, views, azimuth, elevation, studio.workspace)
        folder = new_result_folder(studio.workspace)
        paths = []
        for number, picture in enumerate(rendered):
            path = folder / f"view{number}.png"
            picture.cutout.save(path)
            paths.append(str(path))
        return paths, [asdict(picture.camera or Camera()) for picture in rendered]

    @refused
    def compare(bundle: str | None, mesh: str | None) -> dict[str, Any]:
        """Chamfer, F-scores, IoU of every step of a run against a true mesh, beside visual hull and codec ceiling.

        The mesh is centred and its longest side scaled to 1.8, as render_views does; the run's cameras must fit that.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            mesh: The true mesh, with the suffix .glb, .obj, .ply, .stl or .off.

        Returns:
            The scores by name.
        """
        from wavemesh.geometry.untrusted import read_untrusted_mesh
        from wavemesh.pipelines.bundle import read_bundle

        if not bundle or not mesh:
            raise InputError("A comparison needs a run bundle and a mesh.")
        *_, (_, measured) = measure(read_bundle(bundle), read_untrusted_mesh(mesh))
        assert measured is not None
        return measured.to_dict()

    limits: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "bench"}
    render_button.click(
        render_views, [mesh, views, azimuth, elevation], [pictures, cameras], api_name="render_views", **limits
    )
    compare_button.click(compare, [bundle, mesh], scores, api_name="compare", **limits)
