"""A node served as ``veza serve`` serves it, with a constant beside its API: ``python -m benchmarks.served DATA PORT``.

``/api/v1/lookup`` and ``/constant`` run in the same application, behind the same guards, in the same worker process;
``/bare`` is a constant of a Flask application that has nothing else.
"""

import sys
from functools import partial
from pathlib import Path

from flask import Flask, Response
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from web.app import create_app
from web.config import load_config
from web.serving import ServeOptions

CONSTANT = b'{"constant":true}'


def show_constant() -> Response:
    return Response(CONSTANT, content_type="application/json")


def load(data: Path) -> Flask:
    """The node's application with both constants."""
    app = create_app(load_config(data))
    app.add_url_rule("/constant", view_func=show_constant)
    bare = Flask("bare")
    bare.add_url_rule("/", view_func=show_constant)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/bare": bare.wsgi_app})
    return app


def main() -> None:
    options = ServeOptions(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
    server = Granian(
        "wsgi:app",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=options.threads,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=partial(load, options.data), wrap_loader=False)


if __name__ == "__main__":
    main()
