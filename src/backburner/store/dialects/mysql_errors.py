"""What the numbers of MariaDB and MySQL, and the words of their drivers, mean.

The numbers are those of https://mariadb.com/kb/en/mariadb-error-codes/, from 2000 on those of the client's side.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from backburner.store.dialects.base import Trouble

_BUSY = {1213, 1205, 1020, 3572, 1412}
_VALUE = {1406, 1366, 1264, 1292, 1048, 1153, 3140, 1300}
_LOST = {
    2000, 2002, 2003, 2005, 2006, 2012, 2013, 2014, 2026, 2027, 2055, 4031,  # said by the driver
    1040, 1053, 1077, 1079, 1080, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1317, 1927,
    1044, 1045, 1049, 1698,  # not let in
    1021, 1037, 1041, 1114, 1030, 1290, 1836, 3100,  # full, or read only
}  # fmt: skip


class TextTooLong(ValueError):
    """A text that no server of default settings accepts."""


def trouble_of(error: BaseException) -> Trouble:
    """What an error of the driver, or of SQLAlchemy around it, means."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        if error.connection_invalidated:
            return Trouble.LOST
        error = error.orig
    if isinstance(error, UnicodeError | TextTooLong):
        return Trouble.VALUE
    kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith(("pymysql", "MySQLdb"))}
    code = error.args[0] if kinds and error.args else None
    if code in _BUSY:
        return Trouble.BUSY
    if code in _LOST or isinstance(error, OSError):
        return Trouble.LOST
    if code in _VALUE or "DataError" in kinds:
        return Trouble.VALUE
    # Without a number it is the connection that speaks: closed, out of step, in the middle of something.
    unnumbered = not isinstance(code, int) or code == 0
    return Trouble.LOST if unnumbered and kinds & {"InterfaceError", "InternalError"} else Trouble.OTHER
