"""The benches for programs: endpoints over the run bundles (.zip) that the endpoint "generate" gives back.

They keep nothing: a bundle goes in, a file or facts come out.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.geometry.export import MESH_SUFFIXES, mesh_bytes
from wavemesh.ui.arguments import json_argument
from wavemesh.ui.pictures import Number
from wavemesh.ui.result.content import Shape, Shapes
from wavemesh.ui.steps.content import step_facts, step_mesh
from wavemesh.ui.studio import Studio
from wavemesh.ui.triplane.content import BAND_NAMES, Gains, volume_picture
from wavemesh.ui.triplane.decoder import FINE_SIDE, PlaneDecoder
from wavemesh.ui.wavelets.content import Comparison, Decoded, wavelet_coefficients
from wavemesh.ui.wavelets.edit import edit_by_names
from wavemesh.ui.widgets.notices import refused
from wavemesh.ui.workspace import new_result_folder

_SHARED: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "tools"}


def add_step_api(studio: Studio) -> None:
    """Add the endpoint "step" to the current Blocks: a recorded step of a run bundle."""
    with gr.Column(visible=False):
        bundle = gr.File(label="Run bundle (.zip)", type="filepath")
        number = gr.Number(1, label="Step, from 1", precision=0)
        numbers = gr.JSON(label="Numbers of the step")
        mesh = gr.File(label="Mesh of the step (.glb)")
        button = gr.Button("Step")

    def step(bundle: str | None, number: Number | None) -> tuple[dict[str, Any], str]:
        """The numbers and the mesh that one recorded step of a run bundle predicted; no model is evaluated.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            number: The step, from 1; the steps of all stages are counted through.

        Returns:
            The step's numbers and its mesh (.glb).
        """
        from wavemesh.pipelines.bundle import read_bundle

        try:
            if not bundle:
                raise InputError("No run bundle was given.")
            record = read_bundle(bundle)
            index = int(number or 0) - 1
            facts, surface = step_facts(record, index), step_mesh(record, index)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error
        path = new_result_folder(studio.workspace) / "step.glb"
        path.write_bytes(mesh_bytes(surface, ".glb"))
        return facts, str(path)

    button.click(step, [bundle, number], [numbers, mesh], api_name="step", concurrency_limit=2)


def add_triplane_api(decoder: PlaneDecoder) -> None:
    """Add the endpoint "render_triplane" to the current Blocks; nothing of it is seen on the page."""
    with gr.Column(visible=False):
        bundle = gr.File(label="Run bundle (.zip) of the method triplane", type="filepath")
        gains = [gr.Number(1.0, label=f"Gain of {name}") for name in BAND_NAMES]
        azimuth = gr.Number(30.0, label="Azimuth in degrees")
        elevation = gr.Number(20.0, label="Elevation in degrees")
        size = gr.Number(FINE_SIDE, label="Pixels on a side, 16 to 512", precision=0)
        picture = gr.Image(label="Picture", format="png")
        button = gr.Button("Render triplane")

    @refused
    def render_triplane(
        bundle: str | None,
        ll: Number,
        lh: Number,
        hl: Number,
        hh: Number,
        azimuth: Number,
        elevation: Number,
        size: Number,
    ) -> Any:
        """Render a finished triplane run from any side, its bands scaled by gains; no diffusion is run.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back for the method triplane.
            ll: Gain of the coarse band.
            lh: Gain of the horizontal details.
            hl: Gain of the vertical details.
            hh: Gain of the diagonal details.
            azimuth: In degrees; 0 is the front.
            elevation: In degrees, -90 to 90.
            size: Pixels on a side, 16 to 512.

        Returns:
            The picture.
        """
        from wavemesh.pipelines.bundle import read_bundle

        if not bundle:
            raise InputError("A run bundle is needed: the .zip that the endpoint generate gives back.")
        return volume_picture(read_bundle(bundle), decoder, Gains(ll, lh, hl, hh), azimuth, elevation, int(size))

    button.click(
        render_triplane, [bundle, *gains, azimuth, elevation, size], picture, api_name="render_triplane", **_SHARED
    )


def add_wavelet_api(studio: Studio) -> None:
    """Add the endpoint "edit_wavelets" to the current Blocks; nothing of it is seen on the page."""
    with gr.Column(visible=False):
        bundle = gr.File(label="Run bundle (.zip)", type="filepath")
        told = "Gains by band, such as {'2 aaa': 1.0, '1 ddd': 0.0}; bands left out keep theirs"
        gains = json_argument({}, told, {"type": "number"})
        threshold = gr.Number(0.0, label="Threshold: smaller details are removed")
        mode = gr.Textbox("hard", label="Threshold mode: hard or soft")
        muted = json_argument([], "Levels whose details are muted: [], [1], [2] or [1, 2]", {"type": "integer"})
        other = gr.File(label="Bundle of another run to take details from (optional)", type="filepath")
        taken = json_argument([], "Levels whose details are taken from the other run", {"type": "integer"})
        mesh = gr.File(label="Edited mesh (.glb)")
        facts = gr.JSON(label="What changed")
        button = gr.Button("Edit wavelets")

    @refused
    def edit_wavelets(
        bundle: str | None, gains: Any, threshold: Number, mode: str, muted: Any, other: str | None, taken: Any
    ) -> tuple[str, dict[str, Any]]:
        """Change the wavelet coefficients of a finished run and decode them again; no model is run.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            gains: Factors by band, such as {"1 ddd": 0.5}; bands are a level (1 is fine) and pywt's name.
            threshold: Details smaller than this are removed.
            mode: hard or soft thresholding.
            muted: Levels whose details are set to zero, such as [1].
            other: The bundle of another run, to take details from; may be left out.
            taken: Levels whose details are taken from the other run.

        Returns:
            The edited mesh (.glb) and how far the surface moved.
        """
        edit = edit_by_names(gains, threshold, mode, muted, taken)
        before = wavelet_coefficients(_read(bundle))
        source = wavelet_coefficients(_read(other)) if edit.taken else None
        comparison = Comparison(Decoded(before), Decoded(edit.applied(before, source)))
        path = new_result_folder(studio.workspace) / "edited-mesh.glb"
        path.write_bytes(mesh_bytes(comparison.after.mesh, ".glb"))
        return str(path), comparison.measures()

    button.click(
        edit_wavelets, [bundle, gains, threshold, mode, muted, other, taken], [mesh, facts],
        api_name="edit_wavelets", **_SHARED,
    )  # fmt: skip


def add_result_api(studio: Studio) -> None:
    """Add the endpoints "reshape" and "turntable" to the current Blocks; nothing of them is seen on the page."""
    with gr.Column(visible=False):
        bundle = gr.File(label="Run bundle (.zip)", type="filepath")
        level = gr.Number(0.0, label="Iso-level in world units, -0.06 to 0.06; above 0 the shape grows")
        max_faces = gr.Number(0, label="Face budget; 0 keeps all", precision=0)
        repaired = gr.Checkbox(False, label="Repair for printing")
        suffix = gr.Textbox(".glb", label=f"Format: {', '.join(MESH_SUFFIXES)}")
        texture = gr.Checkbox(False, label="Bake the colours into a texture (.glb and .obj)")
        size_mm = gr.Number(0.0, label="Longest side of an .stl in mm, z up; 0 leaves it in world units, y up")
        film_suffix = gr.Textbox(".mp4", label="Film: .gif or .mp4")
        mesh = gr.File(label="Mesh")
        health = gr.JSON(label="Health of the mesh; lengths in world units (the object is 1.8 long)")
        film = gr.File(label="Turntable")
        shape_button, film_button = gr.Button("Reshape"), gr.Button("Film")

    @refused
    def reshape(
        bundle: str | None,
        level: Number,
        max_faces: Number,
        repaired: bool,
        suffix: str,
        texture: bool,
        size_mm: Number,
    ) -> tuple[str, dict[str, Any]]:
        """Give a finished run's mesh at another iso-level, with fewer faces or repaired, with its health card.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            level: Iso-level in world units, -0.06 to 0.06; above 0 the shape grows.
            max_faces: Budget of triangles; 0 keeps all.
            repaired: Whether the mesh becomes a closed solid for printing.
            suffix: .glb, .obj, .ply or .stl.
            texture: Whether the colours are baked into a texture (.glb and .obj).
            size_mm: Longest side of an .stl in mm; 0 leaves world units.

        Returns:
            The mesh file and its health: components, watertightness, volume, thinnest part.
        """
        if suffix not in MESH_SUFFIXES:
            raise InputError(f"A mesh file ends in one of {', '.join(MESH_SUFFIXES)}, not {suffix!r:.20}.")
        bench, shape = _bench(bundle), Shape("", float(level), int(max_faces), bool(repaired))
        folder = new_result_folder(studio.workspace)
        path = bench.export(shape, suffix, folder, texture=bool(texture), size_mm=float(size_mm))
        card = bench.health(shape)
        return path, {**asdict(card), "printable": card.printable, "repair": bench.summary(shape)}

    @refused
    def turntable(bundle: str | None, level: Number, max_faces: Number, repaired: bool, film_suffix: str) -> str:
        """Film one turn of a finished run's mesh.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            level: Iso-level in world units, -0.06 to 0.06; above 0 the shape grows.
            max_faces: Budget of triangles; 0 keeps all.
            repaired: Whether the mesh becomes a closed solid for printing.
            film_suffix: .gif or .mp4.

        Returns:
            The film.
        """
        content = _bench(bundle).turntable(Shape("", float(level), int(max_faces), bool(repaired)), film_suffix)
        path = new_result_folder(studio.workspace) / f"turntable{film_suffix}"
        path.write_bytes(content)
        return str(path)

    shape_button.click(
        reshape, [bundle, level, max_faces, repaired, suffix, texture, size_mm], [mesh, health], api_name="reshape",
        **_SHARED,
    )  # fmt: skip
    film_button.click(
        turntable, [bundle, level, max_faces, repaired, film_suffix], film, api_name="turntable", **_SHARED
    )


def _read(bundle: str | None) -> Any:
    from wavemesh.pipelines.bundle import read_bundle

    if not bundle:
        raise InputError("A run bundle is needed: the .zip that the endpoint generate gives back.")
    try:
        return read_bundle(bundle)
    except InputError as error:
        # Its path on the server is nobody's business.
        raise InputError(str(error).replace(str(bundle), Path(bundle).name)) from None


def _bench(bundle: str | None) -> Shapes:
    record = _read(bundle)
    return Shapes(lambda _: record)
