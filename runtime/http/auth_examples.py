"""What the reference shows of ``/auth``; the answers that never change are given as they stand here."""

from __future__ import annotations

from typing import Any

from runtime.http.examples import PROBLEMS

TAG = "Sign-in"
TOKENS = (
    "Tokens come in cookies; with `st-auth-mode: header` in the headers `st-access-token` and `st-refresh-token`; with "
    "`fg-auth-mode: body` in the body.\n"
    "Send the access token as “Authorization: Bearer …”, or let the browser send its cookie: then whatever changes "
    "something also needs the `anti-csrf` header that came with the cookies.\n"
    "The web clients of SuperTokens (supertokens-web-js) do all of this by themselves. A front-end on another origin "
    "has to be named in the settings of the hosted pages."
)
REFRESH = (
    "The refresh token comes in its cookie with the `anti-csrf` header, as “Authorization: Bearer …”, or in the body; "
    "the new pair goes back in the same way. A token that two parties use ends the session."
)

ID = "fa02e4bb-405d-4c20-97c8-060b756a890e"
EMAIL = "ada@example.com"
JOINED_MS = 1_769_851_800_000
SIGN_UP = {
    "formFields": [
        {"id": "email", "value": EMAIL},
        {"id": "password", "value": "correct horse 1"},
        {"id": "firstName", "value": "Ada"},
    ]
}
SIGN_IN = {"formFields": SIGN_UP["formFields"][:2]}
RESET = {"formFields": SIGN_UP["formFields"][:1]}
VERIFICATION = {"method": "token", "token": "Y2YwZWFmZjgzMzI5YzU0MjdlZDQ3Ym…"}
NEW_PASSWORD = {"formFields": SIGN_UP["formFields"][1:2]} | VERIFICATION
REFRESH_BODY = {"refreshToken": "ZGVkNDdiY2YwZWFmZjgzMzI5YzU0Mj…"}

OK = {"status": "OK"}
SIGNED_IN: dict[str, Any] = OK | {
    "user": {
        "id": ID,
        "email": EMAIL,
        "timeJoined": JOINED_MS,
        "tenantIds": ["public"],
        "isPrimaryUser": False,
        "emails": [EMAIL],
        "phoneNumbers": [],
        "thirdParty": [],
        "webauthn": {"credentialIds": []},
        "loginMethods": [
            {
                "recipeId": "emailpassword",
                "recipeUserId": ID,
                "verified": False,
                "email": EMAIL,
                "timeJoined": JOINED_MS,
                "tenantIds": ["public"],
            }
        ],
    }
}
SESSION = OK | {
    "session": {
        "handle": "0d9b6f4e-3f7c-4c39-9a38-3f6f0f1f6b52",
        "userId": ID,
        "accessTokenExpiresAt": "2026-01-31T10:00:00Z",
    }
}
USER = OK | {"user": {"id": ID, "email": EMAIL, "emailVerified": True, "roles": ["Customer"]}}
EXISTS = OK | {"exists": False}
IS_VERIFIED = OK | {"isVerified": True}
WRONG_CREDENTIALS = {"status": "WRONG_CREDENTIALS_ERROR"}
ALREADY_VERIFIED = {"status": "EMAIL_ALREADY_VERIFIED_ERROR"}
VERIFY_TOKEN_INVALID = {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"}
RESET_TOKEN_INVALID = {"status": "RESET_PASSWORD_INVALID_TOKEN_ERROR"}
FIELD_ERROR = {
    "status": "FIELD_ERROR",
    "formFields": [{"id": "password", "error": "A password needs at least one digit."}],
}
SIGN_UP_CLOSED = {"status": "GENERAL_ERROR", "message": "New accounts cannot be made here."}
TRY_REFRESH = {"message": "try refresh token"}


def said(
    *answers: dict[str, Any], needs_session: bool = False, has_body: bool = True, is_throttled: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of an operation: what it answers, the first being the good one, and its refusals."""
    others = " or ".join(answer["status"] for answer in answers[1:])
    description = f"Done where “status” is OK; else it is {others}." if others else "Done."
    found: dict[int | str, dict[str, Any]] = {
        200: {"description": description, "content": {"application/json": {"example": answers[0]}}}
    }
    if needs_session:
        content = {"application/json": {"example": TRY_REFRESH}}
        found[401] = {"description": "No session, or one to be refreshed.", "content": content}
    refusals = {503: "Not possible right now; nothing was confirmed. Try again."}
    if has_body:
        refusals |= {400: "Not JSON.", 413: "Too large; the message names the limit.", 422: "Not in this shape."}
    if is_throttled:
        refusals[429] = "Too many tries. Retry-After says when to try again."
    for status, words in refusals.items():
        found[status] = {"description": words, "content": {"application/json": {"example": PROBLEMS}}}
    return dict(sorted(found.items(), key=lambda item: int(item[0])))
