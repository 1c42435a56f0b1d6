"""Serves an installation with its engine inside, for the browser tests; prints its address when it listens."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from editor.app import add_pages
from runtime.app import build_app
from runtime.settings import Settings


def main() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = build_app(Settings(data_dir=Path(sys.argv[1]), port=port), embedded=True)
    add_pages(app)
    print(f"http://127.0.0.1:{port}", flush=True)
    uvicorn.Server(uvicorn.Config(app.http, log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
