"""What a command says of an exception that is no refusal. No JAX is imported."""

import sys
import traceback
from collections.abc import Iterable

_FULL = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory")
"""What XLA writes where it finds no memory."""


def failed(error: Exception, fields: Iterable[str]) -> int:
    """Prints what to do about an exception, and returns the exit code: 2 where memory
    is short, else 3.

    Args:
        error: what was raised.
        fields: of the study, that the command line gives.
    """
    given = ", ".join(f"--{field}" for field in fields)
    if is_out_of_memory(error):
        smaller = f"give smaller values to {given}" if given else "choose smaller sizes"
        print(
            f"jaxml: the memory is not enough for this: {smaller}, or a machine with "
            "more.",
            file=sys.stderr,
        )
        return 2
    traceback.print_exception(error)
    print(f"jaxml: {_defect(given)}", file=sys.stderr)
    return 3


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, NumPy or XLA found no memory.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("out of range"))
    (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    is_xla = type(error).__name__ in ("JaxRuntimeError", "XlaRuntimeError")
    return is_xla and any(words in str(error) for words in _FULL)


def _defect(given: str) -> str:
    report = (
        "report the lines above, the command and the output of `jaxml doctor` to the "
        "authors named in CITATION.cff."
    )
    if not given:
        return f"this is a defect of jaxml or of the study, not of your input: {report}"
    return (
        f"the study may not be able to use what you gave to {given}: try another "
        "value, or none; if this stays it is a defect of jaxml or of the study: "
        f"{report}"
    )
