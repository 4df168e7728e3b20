"""The one exception that is the user's to mend. It stands alone, so that refusing costs
no import of JAX.
"""


class InputError(ValueError):
    """What the user gave cannot be used. The message is one sentence that proposes the
    fix.

    The command line prints it and exits with code 2; any other exception is a defect of
    ours.
    """
