from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, sys, uvicorn
from services.runtime.logs import get_log
from services.runtime.server import serve
from services.runtime.settings import RuntimeSettings

class Thing:
    settings = RuntimeSettings()
    def __init__(self):
        self.log = get_log("thing").bind(durable="thing-images")
    def asgi(self):
        return self

def run(app, **options):
    app.log.info("image.accepted", image_id="0" * 64, file_name='"<b>\\n')
    logging.getLogger("some.library").warning("it happens")
    try:
        1 / 0
    except ZeroDivisionError:
        app.log.exception("message.gave_up")

uvicorn.run = run
serve(Thing)
"""


def test_a_service_logs_one_json_object_a_line() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    accepted, library, failed = [json.loads(line) for line in ran.stderr.splitlines()]
    assert accepted["event"] == "image.accepted"
    assert accepted["service"] == "thing"
    assert accepted["durable"] == "thing-images"
    assert accepted["file_name"] == '"<b>\n'
    assert library == library | {"event": "it happens", "level": "warning", "logger": "some.library"}
    assert "ZeroDivisionError" in failed["exception"]
