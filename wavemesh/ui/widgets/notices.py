"""What cannot be done is said: to a person in a notice, to a program as one sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

from wavemesh.errors import InputError

_log = logging.getLogger(__name__)


def explained(handler: Any) -> Callable[..., Any]:
    """The handler of an event: what fails is said in a notice and changes nothing on the page."""
    if isinstance(handler, int):  # the number of outputs, which older callers give
        return explained

    @wraps(handler)
    def handled(*arguments: Any) -> Any:
        try:
            return handler(*arguments)
        except InputError as error:
            gr.Warning(str(error), title="This did not work")
        except Exception:
            _log.exception("a handler failed")
            gr.Warning("Something went wrong on the server; the reason is in its log.", title="This did not work")
        return gr.skip()

    return handled


def refused(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler of an endpoint: what cannot be done reaches the program as one sentence."""

    @wraps(handler)
    def handled(*arguments: Any, **named: Any) -> Any:
        try:
            return handler(*arguments, **named)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return handled
