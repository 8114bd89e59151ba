"""What stands before the server's routes: who may ask for what, how large it may be, and who has gone away.

gradio answers every origin with its credentials, lets events be run past the queue, reads bodies of any size, and
notices that a visitor has left at the next message to them. This is plain ASGI and lies outside all that.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from wavemesh.ui.quota import Quota

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 8 * 2**20
MAX_TOOL_BYTES = 48 * 2**20  # pictures of agents come within their calls
MAX_UPLOAD_BYTES = 8 * 32 * 2**20 + 2**16
ORIGINS = "WAVEMESH_ORIGINS"  # other sites that may call, with commas between them, such as https://example.org
SPACES = ("https://huggingface.co", "https://*.hf.space")

_CLOSED = re.compile(
    r"(api/|proxy=|process_recording|vibe-|undo-vibe|dev/|run-history|runs|monitoring|stream/)", re.ASCII
)
_PREFIX = "/gradio_api/"


@runtime_checkable
class Server(Protocol):
    """What the gate asks the server behind it."""

    def is_public(self, number: object) -> bool:
        """Whether an event, by its number, is an endpoint for programs."""
        ...

    def visited(self, session: str) -> None:
        """Note that a session is that of a page."""
        ...

    def session_of(self, event: str) -> str:
        """The session of an event, both as gradio calls them."""
        ...

    async def left(self, session: str, finished: bool) -> None:
        """Somebody's stream of messages has ended, because it was finished or because they went away."""
        ...


class Gate:
    """An ASGI application around another one. hosted: whether Hugging Face shows the page in a frame."""

    def __init__(self, app: App, server: Server, quota: Quota, hosted: bool | None = None) -> None:
        self.app, self.server, self.quota = app, server, quota
        hosted = bool(os.environ.get("SPACE_ID")) if hosted is None else hosted
        self.origins = {each.strip().rstrip("/") for each in os.environ.get(ORIGINS, "").split(",") if each.strip()}
        frames = " ".join(["'self'", *sorted(self.origins), *(SPACES if hosted else ())])
        self.headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"content-security-policy", f"frame-ancestors {frames}".encode()),
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, pass on, or refuse a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Request(scope)
        origin = request.header("origin")
        ours = origin is None or origin in self.origins or _same_host(origin, request)
        allowed = origin if origin in self.origins else None

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(k, v) for k, v in message.get("headers", ()) if not k.lower().startswith(b"access-control-")]
                message = {**message, "headers": [*kept, *self.headers, *_shared(allowed, scope["method"])]}
            await send(message)

        if scope["method"] not in ("GET", "HEAD") and not ours:
            await _refuse(answer, 403, f"Requests from {origin} are not answered here; {ORIGINS} may name it.")
        elif _CLOSED.match(request.route):
            await _refuse(answer, 404, "There is nothing here; the endpoints are in the page's API documentation.")
        elif scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._watched(request, receive, answer)
        else:
            await self._bounded(request, receive, answer)

    async def _bounded(self, request: _Request, receive: Receive, answer: Send) -> None:
        """Pass on a request whose body is not too large, and that asks for what it may."""
        upload, tool = request.route.startswith("upload"), request.route.startswith("mcp")
        limit = MAX_UPLOAD_BYTES if upload else MAX_TOOL_BYTES if tool else MAX_BODY_BYTES
        told = request.header("content-length")
        if told is not None and (not told.isdigit() or int(told) > limit):
            await _refuse(answer, 413, f"At most {limit:,} bytes are taken at once.")
            return
        if upload:
            await self._uploaded(request, receive, answer, limit)
            return
        chunks, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            chunks.append(message.get("body", b""))
            size, more = size + len(chunks[-1]), message.get("more_body", False)
            if size > limit:
                await _refuse(answer, 413, f"At most {limit:,} bytes are taken at once.")
                return
        body = b"".join(chunks)
        if request.route.startswith(("queue/join", "run/")) and not self._may_start(request, body):
            await _refuse(answer, 404, "This event is the page's own; the endpoints are in its API documentation.")
            return
        begun = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return begun.pop() if begun else await receive()

        await self.app(request.scope, again, answer)

    async def _uploaded(self, request: _Request, receive: Receive, answer: Send, limit: int) -> None:
        """Pass on an upload, counted for the visitor as it comes in."""
        if not self.quota.has_room(request.visitor):
            await _refuse(answer, 429, f"You have sent {self.quota.words} within the hour; try again later.")
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            taken = len(message.get("body", b""))
            size += taken
            self.quota.take(request.visitor, taken)
            return {"type": "http.disconnect"} if size > limit else message

        await self.app(request.scope, counted, answer)

    def _may_start(self, request: _Request, body: bytes) -> bool:
        """Whether an event may be started: the page's own only by the page, which says where it comes from."""
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            return True  # gradio says what is wrong with it
        if not isinstance(asked, dict):
            return True
        origin = request.header("origin")
        if origin is not None and _same_host(origin, request):
            self.server.visited(str(asked.get("session_hash"))[:64])
            return True
        return self.server.is_public(asked.get("fn_index"))

    async def _watched(self, request: _Request, receive: Receive, answer: Send) -> None:
        """Pass on a request that waits for messages, and tell at once when nobody reads them any more."""
        session = request.session
        if session is None and (event := request.event) is not None:
            session = self.server.session_of(event)
        if session is None:
            await self.app(request.scope, receive, answer)
            return
        begun = [await receive()]
        gone, finished = asyncio.Event(), asyncio.Event()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                finished.set()  # from here on the server says of everybody that they are gone
            await answer(message)

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            if not finished.is_set():
                await self.server.left(session, finished=False)

        async def again() -> Message:
            if begun:
                return begun.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        watcher = asyncio.create_task(watch())
        try:
            await self.app(request.scope, again, noted)
        finally:
            watcher.cancel()
            if finished.is_set() or not gone.is_set():
                await self.server.left(session, finished=True)


class _Request:
    """What the gate reads of a request."""

    def __init__(self, scope: Message) -> None:
        self.scope = scope
        self._headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
        path = scope["path"]
        self.route: str = path.partition(_PREFIX)[2] if _PREFIX in path else path.lstrip("/")

    def header(self, name: str) -> str | None:
        """A header's value; None without it."""
        return self._headers.get(name.encode())

    @property
    def session(self) -> str | None:
        """The session whose messages are asked for."""
        if not self.route.startswith("queue/data"):
            return None
        found = re.search(r"(?:^|&)session_hash=([\w-]+)", self.scope["query_string"].decode("latin-1"))
        return found[1] if found else None

    @property
    def event(self) -> str | None:
        """The event whose messages are asked for."""
        found = re.fullmatch(r"call/(?:v2/)?\w+/([\w-]+)", self.route)
        return found[1] if found and self.scope["method"] == "GET" else None

    @property
    def visitor(self) -> str:
        """The address that a request comes from; behind a proxy of one's own the one that it tells."""
        address = (self.scope.get("client") or ("",))[0]
        told = self.header("x-forwarded-for")
        if told and re.match(r"(10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1|f[cd])", address):
            return told.rpartition(",")[2].strip()
        return address


def _same_host(origin: str, request: _Request) -> bool:
    hosts = [request.header(name) for name in ("host", "x-forwarded-host")]
    return urlsplit(origin).netloc.lower() in [host.lower() for host in hosts if host]


def _shared(allowed: str | None, method: str) -> list[tuple[bytes, bytes]]:
    """The headers that let another site's page read an answer; none of them with credentials."""
    if allowed is None:
        return []
    headers = [(b"access-control-allow-origin", allowed.encode()), (b"vary", b"Origin")]
    if method == "OPTIONS":
        headers += [
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"content-type, x-gradio-user"),
        ]
    return headers


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is still coming is not read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
