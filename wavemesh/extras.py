"""What only some installations have: the packages of pyproject.toml's extras, and the sentence where one is missing."""

from __future__ import annotations

from wavemesh.errors import InputError

# Module -> extra that brings it.
EXTRAS = {
    "gradio": "app",
    "imageio_ffmpeg": "app",
    "plotly": "app",
    "accelerate": "train",
    "filelock": "train",
    "flip_evaluator": "train",
    "joblib": "train",
    "matplotlib": "train",
    "skimage": "train",
    "tensorboard": "train",
    "tqdm": "train",
    "transformers": "train",
    "yaml": "train",
    "aiohttp": "stream",
    "cascadio": "step",
    "distributed": "dask",
    "ray": "ray",
    "s3fs": "stream",
    "OpenGL": "render",
    "pyrender": "render",
}


def missing(error: ModuleNotFoundError) -> InputError:
    """The error as one sentence that says what to install; for a package of no extra it is raised as it is."""
    name = (error.name or "").partition(".")[0]
    if name not in EXTRAS:
        raise error
    return InputError(f'This needs the package {name}: pip install "wavemesh[{EXTRAS[name]}]".')
