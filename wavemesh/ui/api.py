"""The endpoint for programs: `gradio_client` calls "/generate" with files and gets progress and the mesh."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from wavemesh.errors import InputError
from wavemesh.settings import WaveMeshSettings, by_option
from wavemesh.ui.arguments import files_argument, json_argument
from wavemesh.ui.generate.content import add_pictures, make_job
from wavemesh.ui.pictures import MAX_VIEWS, Number, parse_cameras
from wavemesh.ui.studio import Studio

_MEASURED = ("noise_level", "change", "active_sites", "guidance_norm")


def add_api(studio: Studio) -> None:
    """Add the endpoint "generate" to the current Blocks; nothing of it is seen on the page."""
    defaults = studio.shipped["wavemesh"]
    assert isinstance(defaults, WaveMeshSettings)
    with gr.Column(visible=False):
        pictures = files_argument("Pictures")
        cameras = json_argument(
            [], "Cameras: none, or one object with azimuth_deg, elevation_deg, ... (or null) for each picture"
        )
        coarse_steps = gr.Number(defaults.coarse_steps, label="Coarse steps", precision=0)
        detail_steps = gr.Number(defaults.detail_steps, label="Detail steps", precision=0)
        guidance = gr.Number(defaults.guidance_scale, label="Guidance")
        sampler = gr.Textbox(defaults.sampler, label="Sampler")
        seed = gr.Number(0, label="Seed", precision=0)
        method = gr.Textbox(studio.methods[0], label=f"Method: {' or '.join(studio.methods)}")
        resolution = gr.Number(defaults.resolution, label="Resolution: 64 leaves the detail stage out", precision=0)
        threshold = gr.Number(0.0, label="Sparsity threshold: fine coefficients under it are dropped")
        turns = gr.Number(defaults.frames, label="Frames: 1, 2 or 4 a quarter turn apart", precision=0)
        progress = gr.JSON(label="Progress")
        mesh = gr.File(label="Mesh (.glb)")
        bundle = gr.File(label="Run bundle (.zip), for `wavemesh replay`")
        button = gr.Button("Generate")

    def generate(  # noqa: D417, the request comes from the server
        pictures: list[str] | None,
        cameras: Any,
        coarse_steps: Number | None,
        detail_steps: Number | None,
        guidance: Number | None,
        sampler: str,
        seed: Number | None,
        method: str,
        resolution: Number | None,
        threshold: Number | None,
        turns: Number | None,
        request: gr.Request,
    ) -> Iterator[tuple[dict[str, Any], str | None, str | None]]:
        """Turn one or several pictures of an object into a mesh; streams progress, the last item has the files.

        The progress of a step has its noise level, how much it changed the predicted field, and the active sites.

        Args:
            pictures: One to eight files, PNG, JPEG or WebP; with transparency they need no background removal.
            cameras: One object with azimuth_deg, elevation_deg, ... or null for each picture; [] estimates all.
            coarse_steps: Denoising steps for the overall shape, 1 to 50; of the method triplane, all its steps.
            detail_steps: Denoising steps for the fine surface, 1 to 50.
            guidance: Above 1 the pictures are followed harder, at twice the time.
            sampler: ddim, dpmpp_2m or ddpm.
            seed: A whole number; the same seed and pictures give the same mesh.
            method: wavemesh, or triplane where its weights are there.
            resolution: 128, or 64 to leave the detail stage out.
            threshold: Fine wavelet coefficients smaller than this are dropped, 0 to 0.02.
            turns: Frames a quarter turn apart, 1, 2 or 4; the overall shape is their mean.

        Returns:
            Progress as numbers, the mesh (.glb) and the run bundle (.zip); the files come with the last item.
        """
        try:
            paths = pictures or []
            if len(paths) > MAX_VIEWS:
                raise InputError(f"At most {MAX_VIEWS} pictures can be used, not {len(paths)}.")
            given = parse_cameras(cameras, len(paths))
            held, problems = add_pictures([], paths)
            if problems:
                raise InputError(problems[0])
            asked = {"guidance": guidance, "sampler": sampler, "seed": seed}
            if method == "triplane":
                asked |= {"steps": coarse_steps}
            else:
                asked |= {"coarse_steps": coarse_steps, "detail_steps": detail_steps, "resolution": resolution}
                asked |= {"threshold": threshold, "frames": turns}
            job = make_job(held, True, by_option(method, asked))
            job = replace(job, views=tuple((picture.used, camera) for picture, camera in zip(held, given, strict=True)))
            # Without a browser there is no session to speak of: every call gets its own.
            for update in studio.generate(job, f"api{request.session_hash or ''}"):
                state = {"stage": update.stage, "step": update.step, "num_steps": update.num_steps}
                state["message"] = update.progress.message
                if update.measured is not None:
                    state |= {name: getattr(update.measured, name) for name in _MEASURED}
                if update.result is None:
                    yield state, None, None
                else:
                    result = update.result
                    state |= {"vertices": result.vertices, "faces": result.faces, "seconds": round(result.seconds, 2)}
                    yield state, result.files[".glb"], result.files[".zip"]
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error

    button.click(
        inspect.unwrap(generate),  # a type checker's wrapper would hide from gradio that it is a generator
        [pictures, cameras, coarse_steps, detail_steps, guidance, sampler, seed, method, resolution, threshold, turns],
        [progress, mesh, bundle],
        api_name="generate",
        concurrency_limit=4,
        concurrency_id="runs",
    )
