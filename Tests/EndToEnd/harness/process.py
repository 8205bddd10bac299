"""Child processes that cannot outlive the tests."""
import shutil
from functools import cache


@cache
def _setpriv() -> tuple[str, ...]:
    return ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


def tied(*command) -> list[str]:
    """The command, to be ended by the kernel should its parent die: setpriv replaces itself by it, so the pid is its own."""
    return [*_setpriv(), *map(str, command)]
