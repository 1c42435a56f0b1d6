"""Start by hand.

No event starts it: a person does with *Test* and *Real effects*, or a program with the same through the API.

Out     the payload that was given, an object; empty when none was
Units   none
Effect  none
Errors  none of its own
Source  a person's request; no event starts it
"""

from nodes.spec import FreeOutput, Listen, Params, trigger


class ManualParams(Params):
    pass


@trigger(
    title="Manual start",
    icon="touch_app",
    payload=FreeOutput,
    sample={},
)
def manual(params: ManualParams) -> Listen:
    return Listen(None)
