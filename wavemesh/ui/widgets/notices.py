"""What cannot be done is said: to a person in a notice, to a program as one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import gradio as gr

from wavemesh.errors import InputError

_log = logging.getLogger(__name__)


def explained(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of an event: what fails is said in a notice and changes nothing on the page."""

    @wraps(handler)
    def handled(*arguments: Any) -> Any:
        with failures_told():
            return handler(*arguments)
        return gr.skip()

    return handled


@contextmanager
def failures_told() -> Iterator[None]:
    """What fails inside is said in a notice, and ends there."""
    try:
        yield
    except InputError as error:
        gr.Warning(str(error), title="This did not work")
    except Exception:
        _log.exception("a handler failed")
        gr.Warning("Something went wrong on the server; the reason is in its log.", title="This did not work")


def refused(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of an endpoint: what cannot be done reaches the program as one sentence."""

    @wraps(handler)
    def handled(*arguments: Any, **named: Any) -> Any:
        try:
            return handler(*arguments, **named)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return handled
