"""Start by hand.

No event starts it: a person does with *Start by hand* in the menu of the published flow, or a program with
``POST /api/flows/{id}/run`` or ``pulsewire flow run``.

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
