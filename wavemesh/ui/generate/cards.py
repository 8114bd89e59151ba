"""A card for each picture with the sliders of its camera, and the switches for all of them."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.generate.orbit import build_orbit, orbit_html
from wavemesh.ui.generate.order import UNKNOWN, build_drag, build_side, chosen_side
from wavemesh.ui.pictures import (
    MAX_VIEWS,
    Picture,
    in_order,
    reordered,
    shown,
    with_angles,
    with_background,
    with_side,
)
from wavemesh.ui.widgets.events import PRIVATE, Updates, Values


class Card(NamedTuple):
    """One picture with its sliders; hidden while there is no such picture."""

    column: gr.Column
    image: gr.Image
    azimuth: gr.Slider
    elevation: gr.Slider
    remove: gr.Button
    notes: gr.HTML
    edit: gr.Button
    side: gr.Dropdown
    earlier: gr.Button
    later: gr.Button


@dataclass(frozen=True)
class Cards:
    """The pictures as the page shows them.

    pictures: the session's, as a state. estimate, cut: the switches. in_order: names the sides of four pictures. orbit:
    the map of the cameras. drag: tells when a card was dragged.
    """

    pictures: gr.State
    estimate: gr.Checkbox
    cut: gr.Checkbox
    cards: list[Card]
    in_order: gr.Button
    orbit: gr.HTML
    drag: gr.HTML

    @property
    def inputs(self) -> set[Any]:
        """What `placed` needs the values of."""
        sliders = [slider for card in self.cards for slider in (card.azimuth, card.elevation)]
        return {self.pictures, self.estimate, *sliders}

    @property
    def outputs(self) -> set[Any]:
        """All components."""
        own = {self.pictures, self.estimate, self.cut, self.in_order, self.orbit}
        return own | {part for card in self.cards for part in card}

    def turned(self, given: Values) -> list[Picture]:
        """The pictures with the angles that the sliders show."""
        azimuths = [given[card.azimuth] for card in self.cards]
        return with_angles(given[self.pictures], azimuths, [given[card.elevation] for card in self.cards])

    def placed(self, given: Values) -> list[Picture]:
        """The pictures, with the sliders' angles where cameras are not estimated."""
        return given[self.pictures] if given[self.estimate] else self.turned(given)

    def showing(self, pictures: list[Picture], estimate: bool) -> Updates:
        """Changes of the page, {component: update}, that make these its pictures."""
        cut_away = [picture for picture in pictures if picture.whole is not None]
        kept = any(picture.keeps_background for picture in cut_away)
        changes: Updates = {
            self.pictures: pictures,
            self.in_order: gr.update(visible=len(pictures) == 4 and not any(each.camera for each in pictures)),
            **self.mapped(pictures, estimate),
            self.estimate: gr.update(value=estimate, visible=bool(pictures)),
            self.cut: gr.update(value=not kept, visible=bool(cut_away)),
        }
        for number, (card, picture) in enumerate(zip(self.cards, pictures, strict=False)):
            known = not estimate or picture.found is not None
            azimuth, elevation = (round(angle) for angle in picture.angles)
            changes[card.column] = gr.update(visible=True)
            changes[card.image] = gr.update(value=shown(picture, estimate), label=picture.name)
            changes[card.notes] = gr.update(value=notes_html(picture), visible=bool(notes_html(picture)))
            changes[card.edit] = gr.update(visible=not picture.keeps_background)
            # Also where angles are set by hand, so that nothing moves when dragging on the map switches to that.
            changes[card.side] = gr.update(value=picture.side or UNKNOWN, visible=estimate or picture.camera is None)
            changes[card.earlier] = gr.update(visible=len(pictures) > 1, interactive=number > 0)
            changes[card.later] = gr.update(visible=len(pictures) > 1, interactive=number + 1 < len(pictures))
            changes[card.azimuth] = gr.update(value=azimuth, visible=known, interactive=not estimate)
            changes[card.elevation] = gr.update(value=elevation, visible=known, interactive=not estimate)
        for card in self.cards[len(pictures) :]:
            changes[card.column] = gr.update(visible=False)
            changes[card.image] = gr.update(value=None)
        return changes

    def mapped(self, pictures: list[Picture], estimate: bool) -> Updates:
        """The map of these pictures' cameras."""
        drawn = orbit_html(pictures, estimate)
        return {self.orbit: gr.update(value=drawn, visible=bool(drawn))}


def build_cards(pictures: gr.State) -> Cards:
    """A hidden card for each picture that there may be, and the switches for backgrounds and for estimated cameras."""
    with gr.Row(elem_classes="wm-cards"):
        cards = [_build_card(number) for number in range(MAX_VIEWS)]
    in_order = gr.Button("Front, right, back, left in this order", size="sm", visible=False, elem_id="sides-in-order")
    cut = gr.Checkbox(
        value=True,
        label="Cut the background away",
        info="Left: your picture. Right: the part that is used. Switch it off if the object fills the picture.",
        visible=False,
        elem_id="cut-background",
    )
    estimate = gr.Checkbox(
        value=True,
        label="Estimate the cameras",
        info="Switch off to say yourself from where each picture was taken.",
        visible=False,
        elem_id="estimate",
    )
    return Cards(pictures, estimate, cut, cards, in_order, build_orbit(), build_drag())


def _build_card(number: int) -> Card:
    with gr.Column(visible=False, min_width=140, elem_classes="wm-card", elem_id=f"card-{number}") as column:
        image = gr.Image(
            show_label=False,
            label=f"Picture {number + 1}",
            interactive=False,
            format="png",
            buttons=[],
        )
        remove = gr.Button("✕", size="sm", elem_classes="wm-remove", elem_id=f"remove-{number}")
        notes = gr.HTML(visible=False, elem_id=f"notes-{number}")
        edit = gr.Button("Edit cut-out", size="sm", elem_id=f"edit-{number}")
        side = build_side(number)
        with gr.Row(elem_classes="wm-move"):
            earlier = gr.Button("← Move", size="sm", min_width=60, elem_id=f"earlier-{number}")
            later = gr.Button("Move →", size="sm", min_width=60, elem_id=f"later-{number}")
        azimuth = gr.Slider(-180, 180, 0, step=1, label="Azimuth (°)", buttons=[], elem_id=f"azimuth-{number}")
        elevation = gr.Slider(-90, 90, 15, step=1, label="Elevation (°)", buttons=[], elem_id=f"elevation-{number}")
    return Card(column, image, azimuth, elevation, remove, notes, edit, side, earlier, later)


def notes_html(picture: Picture) -> str:
    """What may go wrong with the cut-out of a picture, for its card; empty where nothing may, or it is not used."""
    if picture.keeps_background:
        return ""
    said = [note.removeprefix(f"{picture.name}: ") for note in picture.notes]
    return "".join(f'<p class="wm-note">{html.escape(note[:1].upper() + note[1:])}</p>' for note in said)


def wire_cards(table: Cards) -> None:
    """Removing and moving pictures, both switches, sides, sliders and the map."""

    def switch(given: Values) -> Updates:
        estimate = given[table.estimate]
        return table.showing(table.turned(given) if estimate else given[table.pictures], estimate)

    def switch_background(given: Values) -> Updates:
        pictures = with_background(table.placed(given), not given[table.cut])
        return table.showing(pictures, given[table.estimate])

    table.estimate.input(switch, table.inputs, table.outputs, **PRIVATE)
    table.cut.input(switch_background, {table.cut, *table.inputs}, table.outputs, **PRIVATE)
    for index, card in enumerate(table.cards):
        _wire_card(table, index, card)
    _wire_all(table)


def _wire_card(table: Cards, index: int, card: Card) -> None:
    def remove(given: Values) -> Updates:
        pictures = table.turned(given)
        return table.showing(pictures[:index] + pictures[index + 1 :], given[table.estimate])

    def turn(given: Values) -> Updates:
        pictures = list(given[table.pictures])
        if index >= len(pictures):
            return gr.skip()
        (pictures[index],) = with_angles(pictures[index : index + 1], [given[card.azimuth]], [given[card.elevation]])
        changed = {table.pictures: pictures, card.image: shown(pictures[index], False)}
        return {**changed, **table.mapped(pictures, False)}

    def choose_side(given: Values) -> Updates:
        pictures = with_side(table.placed(given), index, chosen_side(given[card.side]))
        return table.showing(pictures, given[table.estimate])

    def move(places: int) -> Callable[[Values], Updates]:
        return lambda given: table.showing(reordered(table.placed(given), index, index + places), given[table.estimate])

    card.remove.click(remove, table.inputs, table.outputs, **PRIVATE)
    card.side.input(choose_side, {card.side, *table.inputs}, table.outputs, **PRIVATE)
    card.earlier.click(move(-1), table.inputs, table.outputs, **PRIVATE)
    card.later.click(move(1), table.inputs, table.outputs, **PRIVATE)
    sliders, changed = {table.pictures, card.azimuth, card.elevation}, {table.pictures, card.image, table.orbit}
    for slider in (card.azimuth, card.elevation):
        # Not only where it is let go: angles can be typed, and keys move it too.
        slider.input(turn, sliders, changed, trigger_mode="always_last", **PRIVATE)


def _wire_all(table: Cards) -> None:
    """What concerns all cards: the sides of four pictures, a card dropped on another, a camera dragged on the map."""

    def name_sides(given: Values) -> Updates:
        return table.showing(in_order(table.placed(given)), given[table.estimate])

    def drop(given: Values, event: gr.EventData) -> Updates:
        source, place = (_number(event, name) for name in ("source", "place"))
        return table.showing(reordered(table.placed(given), int(source), int(place)), given[table.estimate])

    def drag(given: Values, event: gr.EventData) -> Updates:
        """Whoever moves a camera knows it: cameras are no longer estimated."""
        index, pictures = int(_number(event, "picture")), list(table.placed(given))
        if not 0 <= index < len(pictures):
            return gr.skip()
        (pictures[index],) = with_angles(pictures[index : index + 1], [_number(event, "azimuth")], [None])
        card = table.cards[index]
        if not given[table.estimate]:
            azimuth = round(pictures[index].angles[0])
            return {table.pictures: pictures, card.image: shown(pictures[index], False), card.azimuth: azimuth}
        changes = table.showing(pictures, False)
        del changes[table.orbit]  # it shows the change already, and is held
        return changes

    table.in_order.click(name_sides, table.inputs, table.outputs, **PRIVATE)
    table.drag.input(drop, table.inputs, table.outputs, **PRIVATE)
    # Every event and in their order: of several that wait, gradio would send the last values with the first event.
    one_by_one: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": 1}
    table.orbit.input(drag, table.inputs, table.outputs - {table.orbit}, **one_by_one, **PRIVATE)


def _number(event: gr.EventData, name: str) -> float:
    """A number that an event of the page carries; one that cannot be used where it carries something else."""
    value: Any = getattr(event, name, None)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else -1.0
