"""Prepared shapes and the roadmap's data set, on shapes whose SDF is known in closed form."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from wavemesh.data.dataset import MeshDataset, PreparedShapes, downsample_sdf, to_network_image
from wavemesh.errors import InputError
from wavemesh.geometry.camera import Camera
from wavemesh.geometry.camera_tensors import project_points, stack_cameras
from wavemesh.wavelets import create_sparse_tensor_from_wavelet
from wavemesh.wavelets.sparse import sparse_wavelet_to_sdf

from .conftest import write_shard

Shapes = dict[str, tuple[np.ndarray, object]]
Files = dict[str, dict[str, bytes]]


def silhouettes_cover_the_solid(
    sdf: torch.Tensor, images: torch.Tensor, poses: torch.Tensor, intrinsics: torch.Tensor, depth: float = 0.02
) -> float:
    """The share of cells below the surface that the views show as object: 1 up to pixels if all fits together."""
    n = len(sdf)
    points = (torch.nonzero(sdf < -depth) + 0.5) / n * 2 - 1
    ndc, _ = project_points(points, poses, intrinsics)
    grid = ndc * torch.tensor([1.0, -1.0])
    alpha = torch.nn.functional.grid_sample(images[:, 3:], grid[:, None], align_corners=False)[:, 0, 0]
    inside = (ndc.abs() < 0.95).all(-1)
    return float((alpha > 0.5)[inside].float().mean())


def test_prepared_shapes_give_the_analytic_sdf(prepared_root: Path, analytic_shapes: Shapes) -> None:
    shapes = PreparedShapes(prepared_root, "train")
    assert (len(shapes), shapes.resolution, shapes.num_views, shapes.image_size) == (3, 32, 6, 48)
    for row, key in enumerate(shapes.keys):
        exact = np.clip(analytic_shapes[key][0], -0.09, 0.09)
        assert np.abs(shapes.sdf([row])[0].numpy() - exact).max() < 0.5 * 0.09 / 127 + 1e-6
    assert shapes.categories == ["balls", "balls", "boxes"]
    batch = shapes.images([0, 2], [[1, 2, 5], [0, 3, 4]])
    poses, intrinsics = shapes.view_cameras([0, 2], [[1, 2, 5], [0, 3, 4]])
    assert batch.shape == (2, 3, 4, 48, 48)
    np.testing.assert_array_equal(poses[1, 2].numpy(), shapes.cameras[2][4].camera_to_world())
    for row, index in enumerate([0, 2]):
        sdf = shapes.sdf([index])[0]
        assert silhouettes_cover_the_solid(sdf, batch[row], poses[row], intrinsics[row]) > 0.99


def test_a_shape_for_evaluation_shows_the_canonical_views(prepared_root: Path) -> None:
    shape = PreparedShapes(prepared_root, "test")[0]
    assert (shape.key, shape.category, len(shape.pictures)) == ("ball.2", "balls", 2)
    assert shape.cameras == [Camera(30.0, 20.0), Camera(210.0, 20.0)]
    assert shape.sdf.dtype == np.float32
    poses, intrinsics = stack_cameras(shape.cameras)
    images = to_network_image(np.stack(shape.pictures))
    assert images.shape == (2, 4, 96, 96)
    assert silhouettes_cover_the_solid(torch.from_numpy(shape.sdf), images, poses, intrinsics) > 0.99


def test_without_canonical_views_evaluation_gets_the_training_views(tmp_path: Path, sample_files: Files) -> None:
    files = {name: content for name, content in sample_files["box"].items() if not name.startswith("canonical")}
    meta = json.loads(files["meta.json"])
    del meta["canonical_cameras"]
    write_shard(tmp_path / "shard-000000.tar", {"box": {**files, "meta.json": json.dumps(meta).encode()}})
    shape = PreparedShapes(tmp_path, "train")[0]
    assert len(shape.pictures) == len(shape.cameras) == 6


def test_items_have_the_roadmaps_keys_and_shapes(prepared_root: Path) -> None:
    dataset = MeshDataset(prepared_root, split="train", resolution=32, num_views=3)
    item = dataset[1]
    assert item["images"].shape == (3, 4, 48, 48)
    assert item["images"].dtype == torch.float32
    assert 0.0 <= item["images"].min() <= item["images"].max() <= 1.0
    assert item["poses"].shape == (3, 3, 4)
    assert item["intrinsics"].shape == (3, 3)
    assert item["coeffs"].shape[1:] == (1,)
    assert item["coords"].shape == (len(item["coeffs"]), 4)
    assert item["mesh_path"] == "analytic/ball.1.obj"
    decoded = sparse_wavelet_to_sdf(item["coeffs"], item["coords"], 32, "bior2.2")
    assert ((decoded < 0) == (item["sdf"] < 0)).float().mean() > 0.999
    assert MeshDataset(prepared_root, resolution=16, channels=3)[0]["images"].shape == (4, 3, 48, 48)
    assert len(MeshDataset(prepared_root, resolution=16, category="boxes")) == 1


@pytest.mark.parametrize("resolution", [16, 20, 32])
def test_coarser_grids_sample_the_same_field(prepared_root: Path, analytic_shapes: Shapes, resolution: int) -> None:
    sdf = MeshDataset(prepared_root, resolution=resolution, num_views=1)[0]["sdf"].numpy()
    centres = (np.arange(resolution) + 0.5) / resolution * 2 - 1
    x, y, z = np.meshgrid(centres, centres, centres, indexing="ij")
    exact = np.sqrt(x**2 + y**2 + z**2) - 0.6  # ball.0
    near = np.abs(exact) < 0.03
    assert sdf.shape == (resolution,) * 3
    assert np.abs(sdf - exact)[near].max() < 0.012
    assert ((sdf < 0) == (exact < 0))[np.abs(exact) > 0.012].all()


def test_downsampling_keeps_a_linear_field_exactly() -> None:
    def linear(n: int) -> torch.Tensor:
        centres = (torch.arange(n) + 0.5) / n * 2 - 1
        x, y, z = torch.meshgrid(centres, centres, centres, indexing="ij")
        return 0.3 * x - 0.2 * y + 0.5 * z

    torch.testing.assert_close(downsample_sdf(linear(64), 16), linear(16), atol=1e-6, rtol=0)
    torch.testing.assert_close(
        downsample_sdf(linear(64), 48)[1:-1, 1:-1, 1:-1], linear(48)[1:-1, 1:-1, 1:-1], atol=1e-6, rtol=0
    )


def test_augmented_items_stay_consistent_and_follow_the_seed(prepared_root: Path) -> None:
    dataset = MeshDataset(prepared_root, resolution=32, num_views=4, augment=True, seed=7)
    seen = []
    for epoch in range(8):
        dataset.set_epoch(epoch)
        item = dataset[1]
        seen.append(item)
        # An eaten mask loses a pixel, which is 0.07 here.
        pictures = (item["images"], item["poses"], item["intrinsics"])
        assert silhouettes_cover_the_solid(item["sdf"], *pictures, depth=0.085) > 0.98
    assert len({tuple(item["poses"][0, :, 3].tolist()) for item in seen}) > 4
    dataset.set_epoch(3)
    for name in ("images", "poses", "coeffs"):
        assert torch.equal(dataset[1][name], seen[3][name])


def test_batches_go_into_a_sparse_tensor(prepared_root: Path) -> None:
    dataset = MeshDataset(prepared_root, resolution=16, num_views=2)
    batch = next(iter(DataLoader(dataset, batch_size=3, collate_fn=MeshDataset.collate)))
    assert batch["images"].shape == (3, 2, 4, 48, 48)
    assert batch["mesh_path"][2] == "analytic/box.obj"
    sparse = create_sparse_tensor_from_wavelet(batch["coeffs"], batch["coords"], (16, 16, 16))
    assert sparse.batch_size == 3
    own = dataset[2]
    torch.testing.assert_close(batch["coeffs"][batch["coords"][:, 0] == 2], own["coeffs"])
    assert not own["coords"][:, 0].any()


def test_network_images_are_premultiplied() -> None:
    rgba = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [255, 255, 255, 51]]], dtype=np.uint8)
    image = to_network_image(rgba)
    expected = torch.tensor([[200 / 255, 0, 0.2], [100 / 255, 0, 0.2], [50 / 255, 0, 0.2], [1, 0, 0.2]])
    torch.testing.assert_close(image[:, 0], expected)
    assert torch.equal(to_network_image(torch.from_numpy(rgba)[None, None])[0, 0], image)


@pytest.mark.parametrize(
    "options, named",
    [
        ({"resolution": 8}, "8"),
        ({"resolution": 64}, "64"),
        ({"resolution": 18}, "18"),
        ({"num_views": 0}, "0"),
        ({"num_views": 7}, "7"),
        ({"category": "cars"}, "cars"),
        ({"channels": 1}, "1"),
        ({"split": "validate"}, "validate"),
        ({"bank": "db99"}, "db9"),
    ],
)
def test_bad_requests_are_named(prepared_root: Path, options: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        MeshDataset(prepared_root, **{"resolution": 16, **options})
