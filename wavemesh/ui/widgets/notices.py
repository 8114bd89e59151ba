"""What cannot be done is said to a person in a notice."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import gradio as gr

from wavemesh.budget import budget
from wavemesh.errors import InputError

_log = logging.getLogger(__name__)


FAILED = "This did not work"


def tell(sentence: str, title: str = FAILED, fault: bool = True) -> None:
    """Show a notice under a title of its own, which gradio's page would replace by the name of its kind.

    fault: whether something went wrong, or a person is merely told.
    """
    kind = gr.Warning if fault else gr.Info
    kind(f"<strong>{html.escape(title)}</strong>{html.escape(sentence)}", title=title)


def explained(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of an event: what fails is said in a notice and changes nothing on the page."""

    @wraps(handler)
    def handled(*arguments: Any) -> Any:
        with failures_told(), budget():
            return handler(*arguments)
        return gr.skip()

    return handled


@contextmanager
def failures_told() -> Iterator[None]:
    """What fails inside is said in a notice, and ends there."""
    try:
        yield
    except InputError as error:
        tell(str(error))
    except Exception:
        _log.exception("a handler failed")
        tell("Something went wrong on the server; the reason is in its log.")
