"""Who is at the page and who has left: the gate's view of gradio's queue and sessions, and of our runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from wavemesh.allocation import give_freed_memory_back
from wavemesh.ui.arguments import accept_file_lists
from wavemesh.ui.gate import Gate
from wavemesh.ui.quota import Quota, kept_swept

if TYPE_CHECKING:
    import gradio as gr

    from wavemesh.ui.studio import Studio

MAX_SESSIONS = 256  # whose state is kept: .7 MB each
CLOSED_S = 300.0  # a tab that was put to sleep may come back within


class Visitors:
    """What the gate asks of a page: see `gate.Server`."""

    def __init__(self, page: gr.Blocks, studio: Studio) -> None:
        self._page: Any = page
        self._studio = studio
        self._pages: OrderedDict[str, None] = OrderedDict()
        self._giving = asyncio.Lock()

    def is_public(self, number: object) -> bool:
        """Whether the event with this number is an endpoint."""
        event = self._page.fns.get(number) if isinstance(number, int) else None
        return event is not None and event.api_visibility == "public"

    def visited(self, session: str) -> None:
        """Note that a session is that of a page, whose state is kept between its events."""
        self._pages[session] = None
        self._pages.move_to_end(session)
        while len(self._pages) > 4 * MAX_SESSIONS:
            self._pages.popitem(last=False)

    def session_of(self, event: str) -> str:
        """The session of a waiting or running event; where nobody named one it is called like the event."""
        known = self._page._queue.event_ids_to_events.get(event)
        return event if known is None else str(known.session_hash)

    async def left(self, session: str, finished: bool) -> None:
        """End what is being made for somebody who went away, and forget what was kept for a program, memory too."""
        if not finished:
            self._studio.leave(session)
            await self._page._queue.clean_events(session_hash=session)
        if session not in self._pages:
            self._forget(session)
        for other, state in list(self._page.state_holder.session_data.items()):
            used = self._page.state_holder.time_last_used.get(other)
            if state.is_closed and used is not None and time.time() - used.timestamp() > CLOSED_S:
                self._forget(other)
        await self._give_memory_back()

    async def _give_memory_back(self) -> None:
        """Let the server be as small as it was before; once for all who leave meanwhile."""
        if not self._giving.locked():
            async with self._giving:
                await asyncio.to_thread(give_freed_memory_back)

    def _forget(self, session: str) -> None:
        self._page.state_holder.session_data.pop(session, None)
        self._page.state_holder.time_last_used.pop(session, None)


def guarded(page: gr.Blocks, studio: Studio) -> Any:
    """The lifespan of the page's application: the gate is in its place, and files swept, before a request comes."""
    visitors = Visitors(page, studio)

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = Gate(app.middleware_stack, visitors, Quota())
        if page.mcp_server_obj is not None:
            accept_file_lists(page.mcp_server_obj)
        with kept_swept(studio.workspace):
            yield

    return lifespan
