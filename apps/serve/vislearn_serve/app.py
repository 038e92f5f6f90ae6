"""The application: its routes, what lies around them, and how it starts and ends."""

import asyncio
import contextlib
import functools
import logging
from importlib import resources

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vislearn import __version__
from vislearn_serve import open_inference, tf_serving, uploads
from vislearn_serve.gate import Gate, reply
from vislearn_serve.openapi import described
from vislearn_serve.service import Service, service_of
from vislearn_serve.settings import Settings

_PAGE = resources.files("vislearn_serve").joinpath("page.html")
# The page holds its own style and script, asks this server, and shows pictures that it holds.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

log = logging.getLogger("vislearn.serve")


def create_app(settings: Settings) -> FastAPI:
    """The ASGI application that serves a folder of packages."""
    service = Service(settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        await service.shelf.refresh()
        if not service.shelf.ready:
            log.warning("no model serves yet", extra={"folder": str(settings.folder)})
        watching = asyncio.create_task(service.shelf.watch())
        yield
        watching.cancel()
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="vislearn serve",
        version=__version__,
        description='Exported packages over HTTP. Errors are `{"error": reason}`.',
        lifespan=lifespan,
        docs_url=None,  # These pages load their scripts from elsewhere.
        redoc_url=None,
    )
    app.state.service = service
    for module in (tf_serving, open_inference, uploads):
        app.include_router(module.router)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(RequestValidationError, _bad_query)
    app.add_middleware(Gate, settings=settings, metrics=service.metrics, memory=service.memory)
    app.openapi = functools.cache(functools.partial(described, app, settings))

    @app.get("/", include_in_schema=False)
    async def page():
        headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
        return Response(_PAGE.read_bytes(), 200, headers, "text/html; charset=utf-8")

    @app.get("/metrics", tags=["Operation"])
    async def metrics(request: Request):
        """Metrics in Prometheus's text format."""
        text = generate_latest(service_of(request).metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return app


async def _not_found(request: Request, error: HTTPException) -> Response:
    """404 and 405 of the router, told like all other errors."""
    path = request.scope["path"][:200]
    reason = f"{error.detail}: {request.method} {path!r}; /openapi.json lists the routes."
    return reply({"error": reason}, error.status_code, error.headers)


async def _bad_query(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    return reply(
        {"error": f"{first['loc'][-1]}={str(first['input'])[:40]!r}: {first['msg']}."}, 400
    )
