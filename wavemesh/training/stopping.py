"""Stopping on request: SIGTERM, Ctrl-C or a closed terminal ends a run after its step, with its state saved."""

import logging
import signal
import threading
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)


_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)]


class StopSignals:
    """While open, SIGTERM, SIGHUP and the first SIGINT set `asked` instead of ending the process."""

    def __init__(self) -> None:
        self.asked = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        # Python delivers signals to the main thread only and refuses handlers elsewhere.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # Who started the run with nohup wants it to outlive the terminal. Ctrl-C is ignored by any job in the
                # background of a shell, to which it may be sent all the same.
                outlives = number not in (signal.SIGTERM, signal.SIGINT)
                if not (outlives and signal.getsignal(number) is signal.SIG_IGN):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
        logger.warning("Stopping after this step; the state will be saved.")
