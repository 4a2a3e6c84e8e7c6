"""The page in a browser, where Chromium is found: it asks no host for anything, and fits."""

from __future__ import annotations

import http.server
import shutil
import struct
import subprocess
import threading
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from testbed.report import write_report
from tests.helpers.reports import result, stored

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
BROWSERS_OWN = ("google.com", "googleapis.com", "gvt1.com", "gstatic.com", "googleusercontent.com")

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")


class Recorder(http.server.BaseHTTPRequestHandler):
    """A proxy that answers nothing and notes which hosts it is asked for."""

    hosts: ClassVar[list[str]] = []

    def do_GET(self):
        self.hosts.append(urlsplit(self.path).hostname or self.path)
        self.send_error(404)

    def do_CONNECT(self):
        self.hosts.append(self.path.split(":")[0])
        self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy():
    Recorder.hosts = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def browse(page, folder, port, *flags):
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", f"--proxy-server=http://127.0.0.1:{port}",
        "--proxy-bypass-list=<-loopback>", *flags, page.as_uri(),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def requested_hosts():
    return [host for host in Recorder.hosts if not host.endswith(BROWSERS_OWN)]


def test_the_page_is_shown_and_printed_without_a_request(tmp_path, proxy):
    page = write_report([stored(result(), tmp_path / "run")])
    shot, printed = tmp_path / "shot.png", tmp_path / "page.pdf"
    browse(page, tmp_path, proxy, "--window-size=500,900", f"--screenshot={shot}")
    browse(page, tmp_path, proxy, f"--print-to-pdf={printed}")
    assert not requested_hosts()
    assert struct.unpack(">II", shot.read_bytes()[16:24])[0] == 500
    assert shot.stat().st_size > 20_000 and printed.read_bytes().startswith(b"%PDF")
    control = tmp_path / "control.html"
    control.write_text('<img src="http://example.test/picture.png">')
    browse(control, tmp_path, proxy, f"--screenshot={tmp_path / 'control.png'}")
    assert requested_hosts() == ["example.test"]
