"""Backends: who can draft a text. Models behind the chat completions of OpenAI's shape, and a mock for development.

The narrator needs no draft: it is the last resort of chain.py, which tries these in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import SecretStr

from marketstream.errors import ConfigurationError
from marketstream.market.rationale import FactSheet, Outcome
from marketstream.rationale.abilities import Abilities, Format, Formats, abilities_of
from marketstream.rationale.completions import BackendError, answer_text, status_fault
from marketstream.rationale.draft import MAX_POINTS, MAX_TEXT, SCHEMA, RationaleDraft, parse_draft
from marketstream.rationale.prompt import MAX_PROMPT_BYTES, prompt, prompt_bytes, sentences

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"
MAX_ANSWER_BYTES = 256_000
CONNECT_S = 3.0
_HEADERS = frozenset(
    {"host", "accept", "accept-encoding", "connection", "content-length", "content-type", "user-agent"}
)
"""All that is sent beside the key. The SDK would add the machine's particulars, and headers of its environment."""


class Backend(Protocol):
    """Something that drafts texts.

    Attributes:
        name: Shown as who wrote a text.
    """

    name: str

    async def draft(
        self, sheet: FactSheet, *, deadline_s: float, context: str = "", refused: Sequence[str] = ()
    ) -> RationaleDraft:
        """Return a draft of a sheet.

        Args:
            sheet: All that may be said.
            deadline_s: Seconds until nobody waits any more; counted over the whole call.
            context: A caller's own words, to bear in mind.
            refused: Why the draft before was refused.

        Raises:
            BackendError: There is no answer, or none that can be read.
            DraftError: The answer is not a draft.
        """
        ...

    async def close(self) -> None:
        """Let go of connections of the running loop."""
        ...


class OpenAIBackend:
    """Any server with OpenAI's chat completions: OpenAI, Ollama, vLLM, llama.cpp, LM Studio and others.

    One client per event loop, made at the first text; the SDK is imported then, in a thread, since that takes a
    second. It never retries, follows no redirect and reads no proxy or other setting from the environment.

    Args:
        model: As the server calls it.
        base_url: Ends where `/chat/completions` begins.
        api_key: None for servers without one.
        abilities: What the server understands; by default what is known of its name or port.
        max_answer_bytes: A longer answer is cut off and refused.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str = OPENAI_URL,
        api_key: SecretStr | None = None,
        abilities: Abilities | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self.name = model
        self._base_url = base_url
        self._api_key = api_key
        self._abilities = abilities_of(base_url, model) if abilities is None else abilities
        self._formats = Formats(self._abilities.format)
        self._max_answer_bytes = max_answer_bytes
        self._clients: dict[asyncio.AbstractEventLoop, asyncio.Future[AsyncOpenAI]] = {}

    def __repr__(self) -> str:
        """Return the model and where it is, never the key."""
        return f"OpenAIBackend({self.name!r}, base_url={self._base_url!r})"

    async def draft(
        self, sheet: FactSheet, *, deadline_s: float, context: str = "", refused: Sequence[str] = ()
    ) -> RationaleDraft:
        """Return a draft of a sheet; as in Backend."""
        messages = prompt(sheet, context=context, refused=refused)
        size = prompt_bytes(messages)
        if size > MAX_PROMPT_BYTES:
            detail = f"the prompt has {size:,} bytes, more than {MAX_PROMPT_BYTES:,}"
            raise BackendError(Outcome.TOO_LARGE, detail)
        return parse_draft(await self.complete(messages, deadline_s=deadline_s))

    async def complete(self, messages: Sequence[Mapping[str, str]], *, deadline_s: float) -> str:
        """Return what the model answers to `messages`.

        Raises:
            BackendError: No answer within `deadline_s` seconds, an error, or not an answer of OpenAI's shape.
        """
        try:
            # The SDK's own timeouts are per read: a server that drips would hold us for ever.
            async with asyncio.timeout(deadline_s):
                body = await self._post(messages)
        except TimeoutError:
            raise BackendError(Outcome.TIMEOUT, f"no whole answer within {deadline_s:.1f} s") from None
        return answer_text(body)

    async def close(self) -> None:
        """Close the client of the running loop, if there is one."""
        making = self._clients.pop(asyncio.get_running_loop(), None)
        if making is not None:
            await (await making).close()

    async def _post(self, messages: Sequence[Mapping[str, str]]) -> bytes:
        for held_to in self._formats.to_ask():
            answer = await self._sent(messages, held_to)
            if isinstance(answer, bytes):
                self._formats.took(held_to)
                return answer
            status = answer
        self._formats.refused()
        raise BackendError(*status_fault(status))

    async def _sent(self, messages: Sequence[Mapping[str, str]], held_to: Format) -> bytes | int:
        """Return the body of the answer; the status where the server does not accept the request as it stands."""
        client = await self._client()
        import openai

        try:
            raw = await client.chat.completions.with_raw_response.create(**self._parameters(messages, held_to))
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            return error.status_code
        except openai.APIStatusError as error:
            raise BackendError(*status_fault(error.status_code)) from None
        except openai.APITimeoutError:
            raise BackendError(Outcome.TIMEOUT, "the server did not answer in time") from None
        except openai.APIConnectionError:
            raise BackendError(Outcome.UNREACHABLE, "the connection was refused or broke off") from None
        return bytes(raw.http_response.content)

    def _parameters(self, messages: Sequence[Mapping[str, str]], held_to: Format) -> dict[str, Any]:
        able = self._abilities
        parameters: dict[str, Any] = {"model": self.name, "messages": list(messages), able.limit: able.max_tokens}
        if able.temperature:
            parameters["temperature"] = 0
        if held_to is Format.SCHEMA:
            schema = {"name": "rationale_draft", "strict": True, "schema": SCHEMA}
            parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif held_to is Format.OBJECT:
            parameters["response_format"] = {"type": "json_object"}
        return parameters

    async def _client(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        making = self._clients.get(loop)
        if making is None:
            # A client of a loop that has ended can do nothing any more, not even close.
            self._clients = {other: client for other, client in self._clients.items() if not other.is_closed()}
            making = self._clients[loop] = asyncio.ensure_future(asyncio.to_thread(self._new_client))
        try:
            # Shielded: the first caller may give up, the others wait for the same client.
            return await asyncio.shield(making)
        except Exception:
            # The next caller tries again.
            self._clients.pop(loop, None)
            raise

    def _new_client(self) -> AsyncOpenAI:
        import openai

        client = openai.AsyncOpenAI(
            api_key="added by the transport",
            base_url=self._base_url,
            max_retries=0,
            http_client=_http_client(self._api_key, self._max_answer_bytes),
        )
        # The SDK imports the rest of itself at first use; not on the loop.
        _ = client.chat.completions.with_raw_response
        return client


def _http_client(api_key: SecretStr | None, max_bytes: int) -> Any:
    """Return an HTTP client that adds the key and reads no more than `max_bytes` of any answer, also of an error."""
    import httpx2

    class Bounded(httpx2.AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        async def __aiter__(self) -> Any:
            total = 0
            async for piece in self._stream:
                total += len(piece)
                if total > max_bytes:
                    raise BackendError(Outcome.TOO_LARGE, f"the answer is longer than {max_bytes:,} bytes")
                yield piece

        async def aclose(self) -> None:
            await self._stream.aclose()

    class Transport(httpx2.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            headers = {name: value for name, value in request.headers.items() if name.lower() in _HEADERS}
            if api_key is not None:
                headers["authorization"] = f"Bearer {api_key.get_secret_value()}"
            # A copy: the SDK looks up in its own what it asked for.
            response = await super().handle_async_request(
                httpx2.Request(
                    request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
                )
            )
            if response.headers.get("content-encoding", "identity") != "identity":
                await response.aclose()
                raise BackendError(Outcome.TOO_LARGE, "the answer is compressed, so it could inflate to any length")
            response.stream = Bounded(response.stream)
            return response

    return httpx2.AsyncClient(
        transport=Transport(trust_env=False),
        trust_env=False,
        headers={"accept-encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
    )


class MockBackend:
    """Draft without a model: the narrator's sentences in their order, written with slots. For development.

    Args:
        name: Shown as who wrote a text.
        answers: What to answer, one after the other, in place of the sheet's own draft: a draft, or an error
            to raise; after the last one drafts are its own again.
    """

    def __init__(self, *, name: str = "mock", answers: Sequence[RationaleDraft | Exception] = ()) -> None:
        self.name = name
        self._answers = list(answers)

    async def draft(
        self, sheet: FactSheet, *, deadline_s: float, context: str = "", refused: Sequence[str] = ()
    ) -> RationaleDraft:
        """Return a draft of a sheet; as in Backend."""
        del deadline_s, context, refused
        if self._answers:
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return mock_draft(sheet)

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def mock_draft(sheet: FactSheet) -> RationaleDraft:
    """Return a draft of what the narrator would say first.

    Raises:
        BackendError: The sheet has nothing that a slot could hold.
    """
    headline, *paragraphs = sentences(sheet)
    points = tuple(point for paragraph in paragraphs if "{" in (point := _fitted(paragraph)))[:MAX_POINTS]
    if not points or not headline:
        raise BackendError(Outcome.EMPTY, "the sheet has nothing to draft")
    return RationaleDraft(headline=headline[0], points=points)


def _fitted(paragraph: Sequence[str]) -> str:
    """Return as many of the first sentences as a point may have characters."""
    kept = list(paragraph)
    while len(kept) > 1 and len(" ".join(kept)) > MAX_TEXT:
        kept.pop()
    text = " ".join(kept)
    return text if len(text) <= MAX_TEXT else ""


def make_backends(
    kind: str, *, base_url: str | None = None, model: str | None = None, api_key: SecretStr | None = None
) -> tuple[Backend, ...]:
    """Return the backends that settings ask for, in order; none where the narrator writes alone.

    Args:
        kind: `none`, `mock` or `openai`.
        base_url: Of the model server; OpenAI's own by default.
        model: As the server calls it.
        api_key: None for servers without one.

    Raises:
        ConfigurationError: There is no such kind, or no model is named.
    """
    if kind == "none":
        return ()
    if kind == "mock":
        return (MockBackend(),)
    if kind != "openai":
        raise ConfigurationError(f"llm must be none, mock or openai, was {kind!r}")
    if not model:
        raise ConfigurationError("llm_model must name the model of the server, such as llama3.2, was not set")
    return (OpenAIBackend(model, base_url=base_url or OPENAI_URL, api_key=api_key),)
