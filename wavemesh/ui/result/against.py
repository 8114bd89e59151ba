"""The choice of what the result is compared with, beside it in its viewer."""

from __future__ import annotations

import gradio as gr

from wavemesh.ui.pictures import example_of
from wavemesh.ui.result.others import Other, chosen, others
from wavemesh.ui.studio import Studio
from wavemesh.ui.widgets.events import Updates, Values
from wavemesh.ui.widgets.subject import Subject

_NOTHING = ("Nothing", "")
_WORDS = "The other mesh stands left of the divider, this one right of it."


class Against:
    """A list that is hidden where there is nothing to compare with.

    choice: the component. inputs: what its functions take the values of.
    """

    def __init__(self, studio: Studio, subject: Subject) -> None:
        self.studio, self.subject = studio, subject
        self.choice = gr.Dropdown(
            [_NOTHING], value="", label="Compare with", info=_WORDS, filterable=False, visible=False, elem_id="against"
        )
        self.inputs = {self.choice, subject.visit, subject.pictures}

    def none(self) -> Updates:
        """Nothing is compared any more."""
        return {self.choice: ""}

    def offer(self, folder: str | None, values: Values) -> Updates:
        """What the mesh of a folder can be compared with; a choice that was made stays where it can."""
        found = [] if folder is None else self._others(folder, values)
        choices = [_NOTHING, *((other.words, other.key) for other in found)]
        kept = values[self.choice] if values[self.choice] in {key for _, key in choices} else ""
        return {self.choice: gr.update(choices=choices, value=kept, visible=bool(found))}

    def other(self, folder: str, values: Values) -> Other | None:
        """What was chosen for the mesh of a folder; InputError where it is gone."""
        return chosen(self._others(folder, values), values[self.choice]) if values[self.choice] else None

    def _others(self, folder: str, values: Values) -> list[Other]:
        examples = self.studio.examples
        example = example_of(values[self.subject.pictures], examples)
        return others(self.studio.runs, values[self.subject.visit], folder, example, examples)
