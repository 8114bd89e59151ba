"""What programs and agents can do: the endpoints.

All but "generate" look at a run bundle (.zip) that "generate" gave back, or at a mesh. They keep nothing: files go in,
files and facts come out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr
from gradio import FileData
from PIL import Image
from pydantic import StrictFloat

from wavemesh.budget import QUESTION_CPU_S
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.export import mesh_bytes
from wavemesh.ui.compare.content import MAX_CPU_S, measure
from wavemesh.ui.endpoint import Option, checked, offer, sent_file
from wavemesh.ui.generate.request import progress_facts, requested_job, run_options
from wavemesh.ui.generate.truth import rendered_pictures
from wavemesh.ui.result.content import Shape, Shapes
from wavemesh.ui.steps.content import step_facts, step_mesh
from wavemesh.ui.studio import Studio
from wavemesh.ui.triplane.content import Gains, volume_picture
from wavemesh.ui.triplane.decoder import FINE_SIDE, PlaneDecoder
from wavemesh.ui.wavelets.content import Comparison, Decoded, wavelet_coefficients
from wavemesh.ui.wavelets.edit import edit_by_names
from wavemesh.ui.workspace import new_result_folder

if TYPE_CHECKING:
    from wavemesh.pipelines.record import RunRecord

Facts = dict[str, Any]
_MASKS = Option(
    list[FileData | None],
    [],
    "A file for each picture, white or opaque where the object is, or null to have it cut out; [] cuts out all.",
)


def add_api(studio: Studio) -> None:
    """Add the endpoints to the current Blocks; nothing of them is seen on the page."""
    made = _Endpoints(studio)
    tools: list[Callable[..., Any]] = [
        made.step, made.edit_wavelets, made.reshape, made.turntable, made.render_views, made.compare,
    ]  # fmt: skip
    if "triplane" in studio.methods:
        tools.append(made.render_triplane)
    with gr.Column(visible=False):
        options = {**run_options(studio.shipped), "masks": _MASKS}
        offer(made.generate, options, concurrency_limit=4, concurrency_id="runs")
        for tool in tools:
            # A comparison takes two seconds a step, and refuses what is too much after the first.
            cpu_s = MAX_CPU_S if tool == made.compare else QUESTION_CPU_S
            offer(tool, cpu_s=cpu_s, concurrency_limit=2, concurrency_id="tools")


class _Endpoints:
    """Each method is an endpoint, documented for those who call it."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def generate(  # noqa: D417, the request comes from the server and the settings say themselves what they are
        self, request: gr.Request, pictures: list[FileData], cameras: tuple[Any, ...] = (), **settings: Any
    ) -> Iterator[tuple[Facts, FileData | None, FileData | None]]:
        """Turn one or several pictures of an object into a mesh; streams progress, the last item has the files.

        The progress of a step has its noise level, how much it changed the predicted field, and the active sites.

        Args:
            pictures: One to eight files, PNG, JPEG or WebP; with transparency they need no background removal.
            cameras: One object with azimuth_deg, elevation_deg, ... or null for each picture; [] estimates all.

        Returns:
            Progress as numbers, the mesh (.glb) and the run bundle (.zip); the files come with the last item, and of
            each picture what cut it out and what may go wrong with that.
        """
        masks = checked("masks", list[FileData | None], settings.pop("masks") or [])
        paths = [None if mask is None else mask.path for mask in masks]
        job = requested_job([picture.path for picture in pictures], list(cameras), settings, paths)
        # Without a browser there is no session to speak of: every call gets its own.
        for update in self._studio.generate(job, f"api{request.session_hash or ''}"):
            files = {} if update.result is None else update.result.files
            yield progress_facts(update), *(sent_file(files[suffix]) if files else None for suffix in (".glb", ".zip"))

    def step(self, bundle: FileData, number: int = 1) -> tuple[Facts, FileData]:
        """The numbers and the mesh that one recorded step of a run bundle predicted; no model is evaluated.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            number: The step, from 1; the steps of all stages are counted through.

        Returns:
            The step's numbers and its mesh (.glb).
        """
        record = _record(bundle)
        facts, mesh = step_facts(record, number - 1), step_mesh(record, number - 1)
        return facts, self._written("step.glb", mesh_bytes(mesh, ".glb"))

    def edit_wavelets(
        self, bundle: FileData, gains: dict[str, StrictFloat] = {}, threshold: float = 0.0,  # noqa: B006, never changed
        mode: Literal["hard", "soft"] = "hard", muted: tuple[int, ...] = (), other: FileData | None = None,
        taken: tuple[int, ...] = (),
    ) -> tuple[FileData, Facts]:  # fmt: skip
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
        edit = edit_by_names(gains, threshold, mode, list(muted), list(taken))
        record = _record(bundle)
        before = wavelet_coefficients(record)
        source = wavelet_coefficients(_record(other)) if edit.taken and other is not None else None
        after = edit.applied(before, source)
        comparison = Comparison(*(Decoded(each, record.front_deg) for each in (before, after)))
        return self._written("edited-mesh.glb", mesh_bytes(comparison.after.mesh, ".glb")), comparison.measures()

    def reshape(
        self, bundle: FileData, level: float = 0.0, max_faces: int = 0, repaired: bool = False,
        suffix: Literal[".glb", ".obj", ".ply", ".stl", ".3mf", ".usdz"] = ".glb", texture: bool = False,
        size_mm: float = 0.0,
    ) -> tuple[FileData, Facts]:  # fmt: skip
        """Give a finished run's mesh at another iso-level, with fewer faces or repaired, with its health card.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            level: Iso-level in world units, -0.06 to 0.06; above 0 the shape grows.
            max_faces: Budget of triangles; 0 keeps all.
            repaired: Whether the mesh becomes a closed solid for printing.
            suffix: .glb, .obj, .ply, .stl, .3mf or .usdz.
            texture: Whether the colours are baked into a texture (.glb and .obj).
            size_mm: Longest side in mm of .stl and .3mf (0: 100) and of .usdz (0: 500).

        Returns:
            The mesh file and its health: components, watertightness, volume, thinnest part.
        """
        shapes, shape = _shapes(bundle), Shape("", level, max_faces, repaired)
        folder = new_result_folder(self._studio.workspace)
        path = shapes.export(shape, suffix, folder, texture=texture, size_mm=size_mm)
        health = shapes.health(shape)
        facts = {**asdict(health), "printable": health.printable, "repair": shapes.summary(shape)}
        return sent_file(path), facts

    def turntable(
        self, bundle: FileData, level: float = 0.0, max_faces: int = 0, repaired: bool = False,
        film_suffix: Literal[".gif", ".mp4"] = ".mp4",
    ) -> FileData:  # fmt: skip
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
        film = _shapes(bundle).turntable(Shape("", level, max_faces, repaired), film_suffix)
        return self._written(f"turntable{film_suffix}", film)

    def render_views(
        self, mesh: FileData, views: int = 4, azimuth: float = 30, elevation: float = 20
    ) -> tuple[list[FileData], list[Facts]]:
        """Render views of a mesh from a ring of cameras; the cameras come back as generate takes them.

        Args:
            mesh: A file with the suffix .glb, .obj, .ply, .stl or .off, or a .zip of one with its textures.
            views: How many, 1 to 8; they go evenly round the mesh.
            azimuth: Of the first view, in degrees; 0 is the front.
            elevation: Of all views, -90 to 90 degrees.

        Returns:
            The pictures and their cameras.
        """
        rendered = rendered_pictures(mesh.path, views, azimuth, elevation, self._studio.workspace)
        folder = new_result_folder(self._studio.workspace)
        files = []
        for number, picture in enumerate(rendered):
            picture.cutout.save(folder / f"view{number}.png")
            files.append(sent_file(folder / f"view{number}.png"))
        return files, [asdict(picture.camera or Camera()) for picture in rendered]

    def compare(self, bundle: FileData, mesh: FileData) -> Facts:
        """Chamfer, F-scores, IoU of every step of a run against a true mesh, beside visual hull and codec ceiling.

        The mesh is centred and its longest side scaled to 1.8, as render_views does; the run's cameras must fit that.

        Args:
            bundle: The run bundle (.zip) that the endpoint generate gave back.
            mesh: The true mesh, with the suffix .glb, .obj, .ply, .stl or .off, or a .zip of one.

        Returns:
            The scores by name.
        """
        from wavemesh.geometry.untrusted import read_untrusted_mesh

        *_, (_, measured) = measure(_record(bundle), read_untrusted_mesh(mesh.path))
        assert measured is not None
        return measured.to_dict()

    def render_triplane(
        self, bundle: FileData, ll: float = 1.0, lh: float = 1.0, hl: float = 1.0, hh: float = 1.0,
        azimuth: float = 30.0, elevation: float = 20.0, size: int = FINE_SIDE,
    ) -> FileData:  # fmt: skip
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
        decoder = PlaneDecoder(self._studio.factories["triplane"], self._studio.accelerator)
        picture = volume_picture(_record(bundle), decoder, Gains(ll, lh, hl, hh), azimuth, elevation, size)
        path = new_result_folder(self._studio.workspace) / "picture.png"
        Image.fromarray(picture).save(path)
        return sent_file(path)

    def _written(self, name: str, content: bytes) -> FileData:
        path = new_result_folder(self._studio.workspace) / name
        path.write_bytes(content)
        return sent_file(path)


def _record(bundle: FileData) -> RunRecord:
    from wavemesh.pipelines.bundle import read_bundle

    try:
        return read_bundle(bundle.path)
    except InputError as error:
        # Its path on the server is nobody's business.
        raise InputError(str(error).replace(bundle.path, Path(bundle.path).name)) from None


def _shapes(bundle: FileData) -> Shapes:
    record = _record(bundle)
    return Shapes(lambda _: record)
