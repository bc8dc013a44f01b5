"""A ticket admits once, and not for long; the page's door takes it for the key."""

from __future__ import annotations

import httpx
import pytest

from vcsharp.control.doors import Doors
from vcsharp.control.tickets import VALID_S, Tickets


def test_a_ticket_admits_once() -> None:
    tickets = Tickets()
    one, two = tickets.issue(), tickets.issue()
    assert one != two
    assert [tickets.spend(one), tickets.spend(one), tickets.spend(two)] == [True, False, True]
    assert not tickets.spend("made up")
    assert not tickets.spend("")


def test_a_ticket_expires() -> None:
    now_s = [0.0]
    tickets = Tickets(lambda: now_s[0])
    early, late = tickets.issue(), tickets.issue()
    now_s[0] = VALID_S - 1
    assert tickets.spend(early)
    now_s[0] = VALID_S + 1
    assert not tickets.spend(late)


def test_a_browser_that_comes_with_a_ticket_gets_the_cookie_and_a_second_does_not(
    open_doors: Doors,
) -> None:
    url = open_doors.once_url()
    assert "token" not in url
    with httpx.Client(follow_redirects=True, timeout=10) as browser:
        page = browser.get(url)
        assert page.status_code == 200
        assert "ticket" not in str(page.url)
        assert browser.get(page.url.join("api/state")).status_code == 200
    assert httpx.get(url).status_code == 403
    assert httpx.get(open_doors.once_url(), follow_redirects=False).status_code == 303


@pytest.mark.parametrize("word", ["", "x", "x&ticket=y"])
def test_a_made_up_ticket_opens_nothing(open_doors: Doors, word: str) -> None:
    base = open_doors.page_url().partition("?")[0]
    assert httpx.get(f"{base}?ticket={word}").status_code in (401, 403)
