"""What the page's server refuses before it makes a session."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from marketstream.dashboard.gate import MAX_SESSIONS, refusal


def request(path: str = "/", host: str = "127.0.0.1:5006", **headers: str) -> HTTPServerRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    line = RequestStartLine("GET", path, "HTTP/1.1")
    return HTTPServerRequest(start_line=line, headers=HTTPHeaders({"Host": host, **named}), connection=Mock())


@pytest.mark.parametrize("host", ["127.0.0.1:5006", "localhost:5006", "127.0.0.2"])
def test_the_machine_itself_is_let_in(host: str) -> None:
    assert refusal(request(host=host), 0) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:5006", "10.0.0.1", "0.0.0.0"])
def test_another_host_name_is_refused(host: str) -> None:
    assert refusal(request(host=host), 0) == 400


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_may_link_to_the_page_but_not_fetch_or_frame_it(site: str) -> None:
    assert refusal(request(Sec_Fetch_Site=site, Sec_Fetch_Dest="iframe"), 0) == 403
    assert refusal(request(Sec_Fetch_Site=site, Sec_Fetch_Dest="empty"), 0) == 403
    assert refusal(request(Sec_Fetch_Site=site, Sec_Fetch_Dest="document"), 0) is None


@pytest.mark.parametrize(
    "path",
    [
        "/components/unittest.__main__/x/y/z",
        "/components/antigravity/x/_resources/y",
        "//components/unittest.__main__/x/y/z",
        "/%63omponents/unittest.__main__/x/y/z",
        "/app",
        "/staticfiles",
    ],
)
def test_what_the_page_has_no_use_for_is_not_there(path: str) -> None:
    # Panel would import the module that the address names: a link on any web page could end the program.
    assert refusal(request(path), 0) == 404
    assert refusal(request(path, Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document"), 0) == 404


@pytest.mark.parametrize("path", ["/ws", "/autoload.js", "/static/js/bokeh.min.js", "/favicon.ico"])
def test_another_site_may_link_to_the_page_alone(path: str) -> None:
    assert refusal(request(path), 0) is None
    assert refusal(request(path, Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document"), 0) == 403


def test_one_page_too_many_is_put_off_and_open_pages_go_on() -> None:
    assert refusal(request("/"), MAX_SESSIONS - 1) is None
    assert refusal(request("/"), MAX_SESSIONS) == 503
    assert refusal(request("/autoload.js"), MAX_SESSIONS) == 503
    assert refusal(request("/ws"), MAX_SESSIONS) is None
