from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from backend.budgets import BackOff, Budget, Recent
from backend.throttle import RequestThrottle, SignInThrottle, Throttled, network_of

ANNA = "anna@example.com"
HOME, CAFE = "192.0.2.1", "198.51.100.7"


@pytest.fixture
def throttle(seconds: Any) -> SignInThrottle:
    return SignInThrottle(now_s=seconds)


@pytest.fixture
def requests(seconds: Any) -> RequestThrottle:
    return RequestThrottle(now_s=seconds)


def wait_s(throttle: SignInThrottle, account: str = ANNA, address: str = HOME) -> int:
    """Fail to sign in; return 0, or how long to wait where no try was taken."""
    try:
        throttle.begin(account, address)
    except Throttled as throttled:
        return throttled.retry_after_s
    return 0


def attack(throttle: SignInThrottle, tries: int, addresses: int) -> int:
    """Fail many times from many addresses; return how many tries were taken."""
    return [wait_s(throttle, ANNA, f"10.0.{n % addresses // 256}.{n % addresses % 256}") for n in range(tries)].count(0)


def test_five_failures_are_free_and_then_the_wait_doubles(throttle: SignInThrottle, seconds: Any) -> None:
    assert [wait_s(throttle) for _ in range(6)] == [0, 0, 0, 0, 0, 1]

    waits = []
    for _ in range(10):
        wait = wait_s(throttle)
        waits.append(wait)
        seconds.now += wait
        assert wait_s(throttle) == 0

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]


def test_error_says_how_long_to_wait(throttle: SignInThrottle) -> None:
    for _ in range(6):
        wait_s(throttle)

    with pytest.raises(Throttled) as caught:
        throttle.begin(ANNA, HOME)

    (fault,) = caught.value.faults
    assert (fault.code, fault.message) == ("auth.throttled", "Too many attempts. Wait 1 second, then try again.")
    assert caught.value.retry_after_s == 1


def test_failures_elsewhere_and_of_others_do_not_count(throttle: SignInThrottle) -> None:
    for _ in range(6):
        wait_s(throttle)

    assert wait_s(throttle, ANNA, CAFE) == 0
    assert wait_s(throttle, "bert@example.com", HOME) == 0
    assert wait_s(throttle) > 0


def test_right_password_begins_anew(throttle: SignInThrottle) -> None:
    for _ in range(4):
        wait_s(throttle)

    throttle.begin(ANNA, HOME).succeeded()

    assert [wait_s(throttle) for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_try_that_was_not_looked_at_does_not_count(throttle: SignInThrottle) -> None:
    for _ in range(100):
        throttle.begin(ANNA, HOME).withdraw()

    assert [wait_s(throttle) for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_failures_are_forgotten_after_an_hour(throttle: SignInThrottle, seconds: Any) -> None:
    for _ in range(6):
        wait_s(throttle)

    seconds.now += 3_601

    assert [wait_s(throttle) for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_many_tries_at_once_count_before_they_have_failed(throttle: SignInThrottle) -> None:
    with ThreadPoolExecutor(20) as threads:
        waits = list(threads.map(lambda _: wait_s(throttle), range(100)))

    assert waits.count(0) == 5


def test_address_has_thirty_failures_a_minute_over_all_accounts(throttle: SignInThrottle, seconds: Any) -> None:
    assert [wait_s(throttle, f"user{n}@example.com") for n in range(31)].count(0) == 30
    assert wait_s(throttle, "another@example.com", CAFE) == 0

    seconds.now += 10

    assert [wait_s(throttle, f"more{n}@example.com") for n in range(10)].count(0) == 5


def test_right_passwords_do_not_use_up_an_address(throttle: SignInThrottle) -> None:
    for n in range(500):
        throttle.begin(f"user{n}@example.com", HOME).succeeded()

    assert wait_s(throttle, ANNA) == 0


def test_addresses_of_one_ipv6_network_count_as_one(throttle: SignInThrottle) -> None:
    waits = [wait_s(throttle, ANNA, f"2001:db8:1:2::{n:x}") for n in range(10)]

    assert waits.count(0) == 5
    assert wait_s(throttle, ANNA, "2001:db8:1:3::1") == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a socket", "a socket"),
        ("", ""),
        ("x" * 10_000, "x" * 100),
    ],
)
def test_network_of_an_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_ten_thousand_failures_from_many_addresses_leave_the_owner_in(throttle: SignInThrottle, seconds: Any) -> None:
    taken = attack(throttle, 10_000, 200)

    assert taken <= 600
    throttle.begin(ANNA, HOME).succeeded()  # raises nothing
    for _ in range(60):
        seconds.now += 10
        attack(throttle, 200, 200)
        throttle.begin(ANNA, HOME).succeeded()


def test_account_under_attack_takes_two_tries_from_a_new_address(throttle: SignInThrottle, seconds: Any) -> None:
    attack(throttle, 1_000, 200)

    assert [wait_s(throttle) for _ in range(3)] == [0, 0, 300]
    assert wait_s(throttle, "bert@example.com") == 0

    seconds.now += 300
    attack(throttle, 1_000, 200)
    assert [bool(wait_s(throttle)) for _ in range(2)] == [False, True]


def test_address_that_was_let_in_before_keeps_its_tries_under_attack(throttle: SignInThrottle) -> None:
    throttle.begin(ANNA, HOME).succeeded()
    attack(throttle, 1_000, 200)

    assert [wait_s(throttle) for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    assert [bool(wait_s(throttle, ANNA, CAFE)) for _ in range(3)] == [False, False, True]


def test_account_recovers_from_an_attack(throttle: SignInThrottle, seconds: Any) -> None:
    attack(throttle, 1_000, 200)

    seconds.now += 600

    assert [wait_s(throttle) for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_three_mails_in_a_row_and_then_one_a_minute(requests: RequestThrottle, seconds: Any) -> None:
    assert [requests.may_mail("reset", ANNA) for _ in range(4)] == [True, True, True, False]
    assert requests.may_mail("verify", ANNA)
    assert requests.may_mail("reset", "bert@example.com")

    seconds.now += 60

    assert [requests.may_mail("reset", ANNA) for _ in range(2)] == [True, False]


def test_one_notice_an_hour(requests: RequestThrottle, seconds: Any) -> None:
    assert [requests.may_notify(ANNA) for _ in range(2)] == [True, False]
    seconds.now += 3_599
    assert not requests.may_notify(ANNA)
    seconds.now += 1
    assert requests.may_notify(ANNA)


@pytest.mark.parametrize(("method", "tries"), [("request", 20), ("sign_up", 60), ("token", 10)])
def test_address_may_ask_so_often_a_minute(requests: RequestThrottle, seconds: Any, method: str, tries: int) -> None:
    count = getattr(requests, method)
    for _ in range(tries):
        count(HOME)

    with pytest.raises(Throttled) as caught:
        count(HOME)

    count(CAFE)
    seconds.now += caught.value.retry_after_s
    count(HOME)


def test_right_tokens_do_not_use_up_an_address(requests: RequestThrottle) -> None:
    for _ in range(100):
        requests.token(HOME)
        requests.token_was_not_wrong(HOME)


def test_memory_is_bounded(seconds: Any) -> None:
    throttle = SignInThrottle(now_s=seconds, entries=100)
    for n in range(1_000):
        with suppress(Throttled):
            throttle.begin(f"user{n}@example.com", f"10.1.{n // 256}.{n % 256}")

    assert [wait_s(throttle) for _ in range(6)] == [0, 0, 0, 0, 0, 1]


def test_of_a_text_that_is_longer_than_any_address_the_rest_is_not_kept(
    throttle: SignInThrottle, requests: RequestThrottle
) -> None:
    long = "ä" * 254
    for number in range(5):
        throttle.begin(f"{long}{number}", HOME)
    with pytest.raises(Throttled):
        throttle.begin(f"{long} and more", HOME)
    assert [requests.may_mail("reset", f"{long}{number}") for number in range(4)] == [True, True, True, False]


def test_what_was_not_touched_for_longest_is_forgotten() -> None:
    recent: Recent[int] = Recent(2)
    for key in ("a", "b", "a", "c"):
        recent.put(key, 1)

    assert [recent.get(key) for key in "abc"] == [1, None, 1]


def test_budget_comes_back_evenly(seconds: Any) -> None:
    budget = Budget(4, 60, now_s=seconds)
    assert [budget.take("a") for _ in range(5)] == [0, 0, 0, 0, 15]

    seconds.now += 45

    assert [budget.take("a") for _ in range(4)] == [0, 0, 0, 15]
    assert budget.take("b") == 0


def test_failure_that_is_taken_back_shortens_the_wait(seconds: Any) -> None:
    back_off = BackOff(now_s=seconds)
    for _ in range(6):
        back_off.spend("a")
    assert back_off.wait_s("a") == 2

    back_off.give_back("a")

    assert back_off.wait_s("a") == 1
    back_off.forget("a")
    assert back_off.wait_s("a") == 0


def test_sign_ups_with_tags_count_for_one_mailbox(requests: RequestThrottle, seconds: Any) -> None:
    for n in range(10):
        requests.sign_up_of(f"anna+{n}@example.com")

    for email in ("anna@example.com", "anna+x+y@example.com"):
        with pytest.raises(Throttled) as caught:
            requests.sign_up_of(email)
        assert caught.value.retry_after_s == 360
    requests.sign_up_of("bert+1@example.com")
    requests.sign_up_of("anna+1@example.org")
    seconds.now += 360
    requests.sign_up_of("anna+x@example.com")
