"""Serve the playground on this machine, to browsers that may load nothing from elsewhere."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tenuto.evaluation.generation import Workload
from tenuto.ui.page import build_page, gr, style
from tenuto.ui.trials import Bench

LOOPBACK = "127.0.0.1"
_FONTS = ("system-ui", "sans-serif")
_MONOSPACE = ("ui-monospace", "monospace")
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
"""The page's scripts are Gradio's own files; browsers refuse every other address."""

Send = Callable[[dict[str, Any]], Awaitable[None]]


class OwnOriginOnly:
    """ASGI middleware: every answer forbids the page to load anything from elsewhere."""

    def __init__(self, app: Any) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Pass a request on; add the policy to the head of its answer."""

        async def send_with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", _POLICY.encode())
                message = {**message, "headers": [*message.get("headers", ()), policy]}
            await send(message)

        await self._app(scope, receive, send_with_policy)


@contextmanager
def serving(
    workload: Workload, prompts: Sequence[str], *, host: str = LOOPBACK, port: int | None = None
) -> Iterator[str]:
    """Serve the playground of a model from a thread, inside a with block.

    Args:
        workload: The model, and the steps that are in the field at the start.
        prompts: Captions to choose from; may be empty.
        host: Address to listen at. Whoever reaches it can run the model: there is no password.
        port: To listen at; None is the first free one from 7860.

    Yields:
        The page's address.

    Raises:
        OSError: The port is taken.
    """
    from starlette.middleware import Middleware

    page = build_page(Bench(workload), prompts, workload.num_steps)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        show_error=False,
        ssr_mode=False,
        footer_links=[],
        prevent_thread_lock=True,
        app_kwargs={"middleware": [Middleware(OwnOriginOnly)]},
        theme=gr.themes.Default(font=_FONTS, font_mono=_MONOSPACE),
        css=style(),
    )
    try:
        yield address
    finally:
        page.close(verbose=False)
