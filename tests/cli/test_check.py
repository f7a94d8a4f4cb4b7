"""``pictory check``: what is wrong is found, and nothing secret is shown."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from pictory_async import __version__
from pictory_async.sandbox import Fault
from tests.cli.conftest import COMMAND

SECRET = "pictai_fake_key_of_a_test"
OPENSSL = shutil.which("openssl")


@contextmanager
def _serving(*, context: ssl.SSLContext | None = None, ahead: float = 0.0):
    """Serve an empty history, dated *ahead* seconds from now; yield its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"items": []}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp=None) -> str:
            moment = datetime.now(UTC) + timedelta(seconds=ahead)
            return format_datetime(moment, usegmt=True)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _rows(done) -> dict[str, tuple[str, str]]:
    rows = (line.split("\t") for line in done.lines)
    return {name: (mark, text) for name, mark, text in rows}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL"):
            monkeypatch.delenv(name)


def test_all_is_well(service, pictory) -> None:
    """Each step has its line; no job is made."""
    done = pictory("check")

    assert done.code == 0
    rows = _rows(done)
    assert list(rows) == ["versions", "service", "proxy", "DNS", "TLS", "clock", "key"]
    assert f"pictory_async {__version__}, Python 3." in rows["versions"][1]
    assert rows["service"] == ("", service.sandbox.base_url)
    assert rows["DNS"] == ("ok", "127.0.0.1 is 127.0.0.1")
    assert rows["TLS"] == ("", "not used: http")
    assert rows["clock"] == ("ok", "as that of the service")
    assert rows["key"] == ("ok", "accepted; the history is empty")
    assert service.received("submit") == 0
    assert service.sandbox.api_key not in done.out + done.err


def test_json_has_an_object_for_each_step(service, pictory) -> None:
    """It has the facts for programs."""
    service.sandbox.add_image("A lighthouse")

    done = pictory("check", "--json")

    found = {each["check"]: each for each in map(json.loads, done.lines)}
    assert found["versions"]["pictory_async"] == __version__
    assert found["versions"]["status"] == "info"
    assert found["DNS"]["addresses"] == ["127.0.0.1"]
    assert abs(found["clock"]["seconds_ahead"]) <= 1
    assert found["key"]["text"] == "accepted"
    assert service.sandbox.api_key not in done.out + done.err


def test_a_refused_key(service, pictory, monkeypatch) -> None:
    """The key is asked about once, and not shown."""
    monkeypatch.setenv("PICTORY_API_KEY", SECRET)

    done = pictory("check")

    assert done.code == 1
    mark, text = _rows(done)["key"]
    assert (mark, text.partition(":")[0]) == ("problem", "refused")
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize("key", ["", f"Bearer {SECRET}"])
def test_a_key_that_cannot_be_used(service, pictory, monkeypatch, key) -> None:
    """The rest is checked all the same."""
    monkeypatch.setenv("PICTORY_API_KEY", key)

    done = pictory("check")

    rows = _rows(done)
    assert done.code == 1
    assert "PICTORY_API_KEY" in rows["key"][1]
    assert rows["clock"][0] == "ok"
    assert SECRET not in done.out + done.err


def test_a_service_that_fails(service, pictory) -> None:
    """It is asked once, not five times."""
    service.sandbox.add_fault(Fault.answer(500, on="images", times=None))

    done = pictory("check")

    assert done.code == 1
    assert "500" in _rows(done)["key"][1]
    assert service.received("images") == 1


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault.answer(503, on="images", times=None), "answered 503"),
        (Fault.hang(on="images"), "0.5 s"),
    ],
)
def test_patience_ends(service, pictory, monkeypatch, fault, text) -> None:
    """A service that only puts off, or is silent, is not waited for without end."""
    monkeypatch.setattr("pictory_async.cli._check._PATIENCE", 0.5)
    service.sandbox.add_fault(fault)

    done = pictory("check")

    assert done.code == 1
    assert text in _rows(done)["key"][1]


@pytest.mark.parametrize(
    ("ahead", "mark", "text"),
    [(-20, "ok", "20 s ahead of"), (-3600, "problem", "3600 s ahead of"),
     (45, "problem", "45 s behind")],
)  # fmt: skip
def test_clocks_that_differ(pictory, monkeypatch, ahead, mark, text) -> None:
    """A few seconds do no harm."""
    monkeypatch.setenv("PICTORY_API_KEY", SECRET)
    with _serving(ahead=ahead) as port:
        monkeypatch.setenv("PICTORY_API_BASE_URL", f"http://127.0.0.1:{port}")
        done = pictory("check")

    found = _rows(done)["clock"]
    assert found[0] == mark
    seconds = int(found[1].split()[0])
    assert abs(seconds - abs(ahead)) <= 1
    assert found[1].endswith(f"{text.split(' ', 2)[2]} the service's")
    assert done.code == (0 if mark == "ok" else 1)


def test_nobody_listens(pictory, monkeypatch) -> None:
    """Each step says so, in words of the system."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("PICTORY_API_KEY", SECRET)
    monkeypatch.setenv("PICTORY_API_BASE_URL", f"http://127.0.0.1:{port}/api")

    done = pictory("check")

    rows = _rows(done)
    assert done.code == 1
    assert rows["TLS"] == ("problem", "cannot connect: Connection refused")
    assert rows["clock"] == ("problem", "no answer: Connection refused")
    assert rows["key"][0] == "problem"


def test_a_name_that_does_not_exist(pictory, monkeypatch) -> None:
    """That is a problem of the DNS."""
    monkeypatch.setenv("PICTORY_API_BASE_URL", "https://nowhere.invalid/api")

    done = pictory("check")

    assert done.code == 1
    assert _rows(done)["DNS"][0] == "problem"
    assert "nowhere.invalid" in _rows(done)["DNS"][1]


@pytest.mark.parametrize("url", ["nowhere", "https://[::1", "https://u:word@"])
def test_a_base_url_that_is_none(pictory, monkeypatch, url) -> None:
    """Nothing is looked up then."""
    monkeypatch.setenv("PICTORY_API_KEY", SECRET)
    monkeypatch.setenv("PICTORY_API_BASE_URL", url)

    done = pictory("check")

    rows = _rows(done)
    assert done.code == 1
    assert rows["service"][0] == rows["key"][0] == "problem"
    assert "DNS" not in rows
    assert "word" not in done.out


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_is_named_without_its_password(
    service, pictory, monkeypatch, name
) -> None:
    """Its host is what is resolved; the certificate is left to the request."""
    port = service.sandbox.base_url.split(":")[2].partition("/")[0]
    monkeypatch.setenv("PICTORY_API_BASE_URL", "https://service.invalid/api")
    monkeypatch.setenv(name, f"http://somebody:s3cret@localhost:{port}")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/company.pem")

    done = pictory("check")

    rows = _rows(done)
    assert f"for the service: http://localhost:{port}" in rows["proxy"][1]
    assert f"{name}=http://localhost:{port}" in rows["proxy"][1]
    assert "SSL_CERT_FILE=/etc/company.pem" in rows["proxy"][1]
    assert rows["DNS"][1].startswith("localhost is ")
    assert "TLS" not in rows
    assert rows["key"][0] == "problem"
    for secret in ("s3cret", "somebody"):
        assert secret not in done.out + done.err


def test_a_proxy_that_is_given_is_used(service, pictory, monkeypatch) -> None:
    """Whatever the environment says."""
    port = service.sandbox.base_url.split(":")[2].partition("/")[0]
    monkeypatch.setenv("PICTORY_API_BASE_URL", "http://127.0.0.1:9/pictoryapis")
    monkeypatch.setenv("NO_PROXY", "*")

    done = pictory("check", "--proxy", f"http://localhost:{port}")

    assert done.code == 0
    assert _rows(done)["proxy"][1].startswith(
        f"for the service: http://localhost:{port}"
    )


@pytest.mark.parametrize(
    "value", ["http://u:s3cret@[::1", "socks5://u:s3cret@localhost:9"]
)
def test_an_odd_proxy_is_no_traceback(service, pictory, monkeypatch, value) -> None:
    """Nor does its password show."""
    monkeypatch.setenv("PICTORY_API_BASE_URL", "https://service.invalid/api")
    monkeypatch.setenv("HTTPS_PROXY", value)

    done = pictory("check")

    assert done.code == 1
    assert len(_rows(done)) >= 5
    assert "s3cret" not in done.out + done.err


@pytest.mark.parametrize("exempt", ["service.invalid", None])
def test_no_proxy_is_respected(service, pictory, monkeypatch, exempt) -> None:
    """The variables are shown, although none applies; this machine needs no mention."""
    monkeypatch.setenv("HTTP_PROXY", "proxy.invalid:3128")
    monkeypatch.setenv("HTTPS_PROXY", "proxy.invalid:3128")
    if exempt is not None:
        monkeypatch.setenv("PICTORY_API_BASE_URL", f"https://{exempt}/api")
        monkeypatch.setenv("NO_PROXY", exempt)

    done = pictory("check")

    text = _rows(done)["proxy"][1]
    assert text.startswith(
        "none for the service (HTTPS_PROXY=http://proxy.invalid:3128"
    )
    assert ("NO_PROXY=service.invalid" in text) is (exempt is not None)


def test_a_terminal_gets_colors(service, terminal) -> None:
    """The words are the same."""
    screen = terminal("check")

    assert screen.wait() == 0
    assert "\x1b[32mok" in screen.raw
    assert "key       ok       accepted" in screen.text


# --- certificates -----------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path, request):
    """Make a certificate of localhost that is valid for some days; return its path."""
    if OPENSSL is None:
        pytest.skip("openssl is not installed")
    key, path = tmp_path / "key.pem", tmp_path / "certificate.pem"
    days = getattr(request, "param", 90)
    subprocess.run(  # noqa: S603 - what was found
        [OPENSSL, "req", "-x509", "-newkey", "ec",
         "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(days), "-subj", "/O=Test/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    with _serving(context=context) as port:
        yield path, f"https://localhost:{port}/api"


def _check(base_url: str, **environment: str):
    """Run the command in a process of its own: trust is loaded at its start."""
    done = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, "check", "--json"],
        env={
            **os.environ,
            "PICTORY_API_KEY": SECRET,
            "PICTORY_API_BASE_URL": base_url,
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    found = {each["check"]: each for each in map(json.loads, done.stdout.splitlines())}
    return done.returncode, found


def test_a_certificate_that_is_trusted(certificate) -> None:
    """It is named with its issuer and its end."""
    path, url = certificate

    code, found = _check(url, SSL_CERT_FILE=str(path))

    assert code == 0
    tls = found["TLS"]
    assert tls["status"] == "ok"
    assert (tls["version"], tls["issuer"]) == ("TLSv1.3", "Test")
    assert tls["text"].startswith("TLSv1.3, certificate by Test until 20")
    assert found["key"]["status"] == "ok"


@pytest.mark.parametrize("certificate", [3], indirect=True)
def test_a_certificate_that_ends_soon(certificate) -> None:
    """It is a problem of some days from now."""
    path, url = certificate

    code, found = _check(url, SSL_CERT_FILE=str(path))

    assert (code, found["TLS"]["status"]) == (1, "problem")


def test_a_certificate_that_is_not_trusted(certificate) -> None:
    """As behind a company's proxy that reads along."""
    _, url = certificate

    code, found = _check(url)

    assert code == 1
    assert found["TLS"]["text"].startswith("not trusted: self-signed certificate")
    assert found["clock"]["status"] == "problem"
    assert found["key"]["status"] == "problem"
