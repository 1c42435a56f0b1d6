"""Operators for tests: made through the service, as a person would be who was given a link."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from backend.operator_sign_in import OperatorSignIn
from backend.operator_values import Role
from backend.operators import Operators
from backend.passwords import CHEAP, Passwords
from runtime.http.operator_cookie import COOKIE as COOKIE
from storage.database import Database

OWNER = "owner@example.com"
PASSWORD = "correct horse 7"


async def sign_in(database: Database, role: Role = "owner", email: str = OWNER, name: str = "") -> str:
    """Return the cookie of an operator, who is made when there is none with this address; the first is an owner."""
    operators, door = Operators(database), OperatorSignIn(database, Passwords(CHEAP))
    if (token := operators.set_up_link()) is not None:
        first = await door.accept(token, PASSWORD, email=OWNER, name="Olivia Owner")
        if email == OWNER:
            return first.cookie
    if email not in {each.email for each in operators.list()}:
        return (await door.accept(operators.invite(email, role, name).token, PASSWORD)).cookie
    return (await door.sign_in(email, PASSWORD)).cookie


def signed_in(database: Database, role: Role = "owner", email: str = OWNER, name: str = "") -> str:
    """Like ``sign_in``, where an event loop may be running already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, sign_in(database, role, email, name)).result()
