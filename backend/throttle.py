"""How often may one try? Limits on sign-ins, requests for mail and tokens, per account and address.

Everything is kept in memory, and only so much of it that nobody can fill it. There is no lock
that an attacker could close on an account: who fails from somewhere is slowed down from there, and while an account is
being attacked from many addresses every other address still has a few tries of its own.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from backend.budgets import ENTRIES, BackOff, Budget, Now, Recent
from backend.errors import BackendError, Fault

IPV6_PREFIX = 64  # one customer has at least this network, so an address within it says nothing
ADDRESS_CHARS = 100
ACCOUNT_CHARS = 254  # an account's address; of longer texts, which strangers may send, the rest is not kept


class Throttled(BackendError):
    """Too many tries; *retry_after_s* seconds later one more is taken."""

    def __init__(self, wait_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(wait_s))
        unit = "second" if self.retry_after_s == 1 else "seconds"
        message = f"Too many attempts. Wait {self.retry_after_s} {unit}, then try again."
        super().__init__(Fault("auth.throttled", message))


class SignInThrottle:
    """Who may try to sign in. A try counts as a failure from its beginning, so that many at once are counted too."""

    def __init__(self, *, now_s: Now = monotonic, entries: int = ENTRIES) -> None:
        self._lock = threading.Lock()
        self._pairs = BackOff(now_s=now_s, entries=entries)
        self._addresses = Budget(30, 60, now_s=now_s, entries=entries)
        self._accounts = Budget(50, 600, now_s=now_s, entries=entries)  # an account without any is under attack
        self._strangers = Budget(2, 600, now_s=now_s, entries=entries)  # from one address, for an account under attack
        self._welcome: Recent[bool] = Recent(entries)  # addresses from which the account was signed in to

    def begin(self, account: str, address: str) -> Attempt:
        """Return an attempt to sign in to *account*, which has failed unless it is told otherwise; raises Throttled."""
        account, network = account[:ACCOUNT_CHARS], network_of(address)
        pair = (account, network)
        with self._lock:
            wait_s = max(self._pairs.wait_s(pair), self._addresses.wait_s(network))
            if self._accounts.wait_s(account) and not self._welcome.get(pair):
                wait_s = max(wait_s, self._strangers.wait_s(pair))
            if wait_s:
                raise Throttled(wait_s)
            self._pairs.spend(pair)
            self._addresses.spend(network)
            self._accounts.spend(account)
            self._strangers.spend(pair)
        return Attempt(self, account, network)

    def settle(self, account: str, network: str, *, is_right: bool) -> None:
        """Take a failure back that was none; *is_right* where the password was right, else it was not looked at."""
        pair = (account, network)
        with self._lock:
            self._addresses.give_back(network)
            self._accounts.give_back(account)
            self._strangers.give_back(pair)
            if is_right:
                self._pairs.forget(pair)
                self._welcome.put(pair, True)
            else:
                self._pairs.give_back(pair)


@dataclass(frozen=True)
class Attempt:
    """One try to sign in."""

    throttle: SignInThrottle
    account: str
    network: str

    def succeeded(self) -> None:
        """The password was right; this address is known for the account from now on."""
        self.throttle.settle(self.account, self.network, is_right=True)

    def withdraw(self) -> None:
        """The password was never looked at, so that nothing failed."""
        self.throttle.settle(self.account, self.network, is_right=False)


class RequestThrottle:
    """How often mail may be asked for, accounts made and tokens tried."""

    def __init__(self, *, now_s: Now = monotonic, entries: int = ENTRIES) -> None:
        self._lock = threading.Lock()
        self._mails = Budget(3, 180, now_s=now_s, entries=entries)
        self._notices = Budget(1, 3_600, now_s=now_s, entries=entries)
        self._requests = Budget(20, 60, now_s=now_s, entries=entries)
        self._sign_ups = Budget(60, 60, now_s=now_s, entries=entries)
        self._mailboxes = Budget(10, 3_600, now_s=now_s, entries=entries)
        self._wrong_tokens = Budget(10, 60, now_s=now_s, entries=entries)

    def may_mail(self, purpose: str, account: str) -> bool:
        """Tell whether one more mail may go to the account now; who asked is not told."""
        with self._lock:
            return not self._mails.take((purpose, account[:ACCOUNT_CHARS]))

    def no_mail_went(self, purpose: str, account: str) -> None:
        """Take back what ``may_mail`` counted."""
        with self._lock:
            self._mails.give_back((purpose, account[:ACCOUNT_CHARS]))

    def may_notify(self, account: str) -> bool:
        """Tell whether the account may be told once more that somebody tried to sign up with its address."""
        with self._lock:
            return not self._notices.take(account)

    def request(self, address: str) -> None:
        """Count a request for a mail; raises Throttled."""
        self._count(self._requests, address)

    def sign_up(self, address: str) -> None:
        """Count a sign-up; raises Throttled."""
        self._count(self._sign_ups, address)

    def sign_up_of(self, email: str) -> None:
        """Count a sign-up with *email*, whatever its tag: all of them reach one mailbox. Raises Throttled."""
        name, _at, host = email[:ACCOUNT_CHARS].rpartition("@")
        with self._lock:
            if wait_s := self._mailboxes.take((name.partition("+")[0], host)):
                raise Throttled(wait_s)

    def token(self, address: str) -> None:
        """Count a token as wrong, before anybody looked; raises Throttled."""
        self._count(self._wrong_tokens, address)

    def token_was_not_wrong(self, address: str) -> None:
        """Take back what ``token`` counted."""
        with self._lock:
            self._wrong_tokens.give_back(network_of(address))

    def _count(self, budget: Budget, address: str) -> None:
        with self._lock:
            if wait_s := budget.take(network_of(address)):
                raise Throttled(wait_s)


def network_of(address: str) -> str:
    """Return what counts as one address: an IPv4 address, or the network of an IPv6 one."""
    with suppress(ValueError):
        found = ipaddress.ip_address(address.partition("%")[0])
        if isinstance(found, ipaddress.IPv4Address):
            return str(found)
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found), IPV6_PREFIX), strict=False))
    return address[:ADDRESS_CHARS]
