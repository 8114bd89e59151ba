"""The health card in words."""

from __future__ import annotations

import trimesh

from wavemesh.geometry.health import mesh_health
from wavemesh.ui.result.health import health_card


def test_the_health_card_speaks_of_what_will_be_printed() -> None:
    plate = trimesh.creation.box((1.8, 1.0, 0.018))
    card = health_card(mesh_health(plate), 100.0)
    assert "1.0 mm" in card
    assert "Ready to print" in card
    assert "wm-bad" in health_card(mesh_health(plate), 50.0)
    assert "its thinnest part, 0.5 mm at this size, may break" in health_card(mesh_health(plate), 50.0)
    torn = trimesh.Trimesh(plate.vertices, plate.faces[:-1], process=False)
    card = health_card(mesh_health(torn), 100.0)
    assert "Not printable" in card
    assert "3 open edges" in card
    assert "repair-summary" not in card
    assert 'id="repair-summary">1 loose piece was dropped.<' in health_card(
        mesh_health(plate), 100.0, "1 loose piece was dropped."
    )


def test_the_verdict_agrees_with_the_rows_below_it() -> None:
    two = trimesh.util.concatenate([trimesh.creation.box(), trimesh.creation.box().apply_translation((2, 0, 0))])
    card = health_card(mesh_health(two), 100.0)
    assert "in 2 separate pieces" in card
    assert "Ready to print" not in card
    torn = trimesh.Trimesh(two.vertices, two.faces[:-1], process=False)
    assert "switch on “Repair for printing”" in health_card(mesh_health(torn), 100.0)
    assert "below" not in health_card(mesh_health(torn), 100.0).split("</p>")[0]
