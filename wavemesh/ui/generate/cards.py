"""A card for each picture with the sliders of its camera, and the switches for all of them."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from wavemesh.ui.pictures import MAX_VIEWS, Picture, shown, with_angles, with_background
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


@dataclass(frozen=True)
class Cards:
    """The pictures as the page shows them. pictures: the session's, as a state. estimate, cut: the switches."""

    pictures: gr.State
    estimate: gr.Checkbox
    cut: gr.Checkbox
    cards: list[Card]

    @property
    def inputs(self) -> set[Any]:
        """What `placed` needs the values of."""
        sliders = [slider for card in self.cards for slider in (card.azimuth, card.elevation)]
        return {self.pictures, self.estimate, *sliders}

    @property
    def outputs(self) -> set[Any]:
        """All components."""
        return {self.pictures, self.estimate, self.cut, *(part for card in self.cards for part in card)}

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
            self.estimate: gr.update(value=estimate, visible=bool(pictures)),
            self.cut: gr.update(value=not kept, visible=bool(cut_away)),
        }
        for card, picture in zip(self.cards, pictures, strict=False):
            known = not estimate or picture.found is not None
            azimuth, elevation = (round(angle) for angle in picture.angles)
            changes[card.column] = gr.update(visible=True)
            changes[card.image] = gr.update(value=shown(picture, estimate), label=picture.name)
            changes[card.notes] = gr.update(value=notes_html(picture), visible=bool(notes_html(picture)))
            changes[card.edit] = gr.update(visible=not picture.keeps_background)
            changes[card.azimuth] = gr.update(value=azimuth, visible=known, interactive=not estimate)
            changes[card.elevation] = gr.update(value=elevation, visible=known, interactive=not estimate)
        for card in self.cards[len(pictures) :]:
            changes[card.column] = gr.update(visible=False)
            changes[card.image] = gr.update(value=None)
        return changes


def build_cards(pictures: gr.State) -> Cards:
    """The switches for backgrounds and for estimated cameras, and a hidden card for each picture that there may be."""
    cut = gr.Checkbox(
        value=True,
        label="Cut the background away",
        info="Left as it came, right what is used. Switch off where the whole picture is the object.",
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
    with gr.Row(elem_classes="wm-cards"):
        cards = [_build_card(number) for number in range(MAX_VIEWS)]
    return Cards(pictures, estimate, cut, cards)


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
        azimuth = gr.Slider(-180, 180, 0, step=1, label="Azimuth (°)", buttons=[], elem_id=f"azimuth-{number}")
        elevation = gr.Slider(-90, 90, 15, step=1, label="Elevation (°)", buttons=[], elem_id=f"elevation-{number}")
    return Card(column, image, azimuth, elevation, remove, notes, edit)


def notes_html(picture: Picture) -> str:
    """What may go wrong with the cut-out of a picture, for its card; empty where nothing may, or it is not used."""
    if picture.keeps_background:
        return ""
    said = [note.removeprefix(f"{picture.name}: ") for note in picture.notes]
    return "".join(f'<p class="wm-note">{html.escape(note[:1].upper() + note[1:])}</p>' for note in said)


def wire_cards(table: Cards) -> None:
    """Removing pictures, both switches, and the sliders."""

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


def _wire_card(table: Cards, index: int, card: Card) -> None:
    def remove(given: Values) -> Updates:
        pictures = table.turned(given)
        return table.showing(pictures[:index] + pictures[index + 1 :], given[table.estimate])

    def turn(given: Values) -> Updates:
        pictures = list(given[table.pictures])
        if index >= len(pictures):
            return gr.skip()
        (pictures[index],) = with_angles(pictures[index : index + 1], [given[card.azimuth]], [given[card.elevation]])
        return {table.pictures: pictures, card.image: shown(pictures[index], False)}

    card.remove.click(remove, table.inputs, table.outputs, **PRIVATE)
    for slider in (card.azimuth, card.elevation):
        slider.release(turn, {table.pictures, card.azimuth, card.elevation}, {table.pictures, card.image}, **PRIVATE)
