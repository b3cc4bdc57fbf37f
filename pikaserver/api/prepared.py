"""Statements that are asked often: compiled once per kind of database, then run as text.

One certificate takes a dozen of them, and SQLAlchemy's own way to the driver costs several
times what SQLite needs to run them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ClauseElement, Connection, Dialect, LargeBinary, Select
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Values = Mapping[str, object]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The text of a statement, and how values pass to the driver and back."""

    text: str
    constants: Values
    converters: Sequence[tuple[str, Callable[[object], object]]]
    results: Sequence[tuple[int, Callable[[Any], Any]]]

    def parameters(self, values: Values) -> dict[str, object]:
        merged = {**self.constants, **values}
        for name, convert in self.converters:
            merged[name] = convert(merged[name])
        return merged

    def result(self, row: Sequence[Any]) -> tuple[Any, ...]:
        if not self.results:
            return tuple(row)
        values = list(row)
        for place, convert in self.results:
            values[place] = convert(values[place])
        return tuple(values)


class Prepared:
    """A statement without lists in it, run many times with the same names of values.

    Its methods raise the errors that SQLAlchemy would raise.
    """

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, values: Values) -> int:
        """Execute it once and return how many rows it touched."""
        return self._ask(connection, values, _count)

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute it for each row."""
        compiled = self._for(connection.dialect, rows[0])
        parameters = [compiled.parameters(row) for row in rows]
        try:
            _cursor(connection).executemany(compiled.text, parameters)
        except Exception as error:
            raise _wrapped(connection, compiled.text, error) from error

    def row(self, connection: Connection, values: Values) -> tuple[Any, ...] | None:
        """Execute it once and return its first row, if it yields one."""
        rows = self.rows(connection, values)
        return rows[0] if rows else None

    def rows(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Execute it once and return the few rows that it yields."""
        compiled = self._for(connection.dialect, values)
        return [compiled.result(row) for row in self._ask(connection, values, _fetched)]

    def number(self, connection: Connection, values: Values) -> int:
        """Execute it once and return the number that it yields: an id; 0 where there is none."""
        rows = self._ask(connection, values, _fetched)
        return int(rows[0][0]) if rows else 0

    def yields(self, connection: Connection, values: Values) -> bool:
        """Execute it once and tell whether a row comes back: of an insertion, whether it was."""
        return bool(self._ask(connection, values, _fetched))

    def _ask(
        self, connection: Connection, values: Values, answer: Callable[[DBAPICursor], Answer]
    ) -> Answer:
        compiled = self._for(connection.dialect, values)
        cursor = _cursor(connection)
        try:
            cursor.execute(compiled.text, compiled.parameters(values))
            return answer(cursor)
        except Exception as error:
            raise _wrapped(connection, compiled.text, error) from error

    def _for(self, dialect: Dialect, names: Iterable[str]) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect, names)
        return found

    def _compile(self, dialect: Dialect, names: Iterable[str]) -> _Compiled:
        compiled = self._statement.compile(dialect=dialect, column_keys=list(names))
        if not isinstance(compiled, SQLCompiler) or compiled.positional:
            raise TypeError(f"{compiled} cannot be run with named values")
        converters = [
            (name, convert)
            for name, parameter in compiled.binds.items()
            # Both drivers take octets as they are; SQLAlchemy would wrap each of them.
            if name in compiled.params
            and not isinstance(parameter.type, LargeBinary)
            and (convert := parameter.type.dialect_impl(dialect).bind_processor(dialect))
        ]
        constants = {name: value for name, value in compiled.params.items() if name not in names}
        return _Compiled(compiled.string, constants, converters, self._results(dialect))

    def _results(self, dialect: Dialect) -> Sequence[tuple[int, Callable[[Any], Any]]]:
        if not isinstance(self._statement, Select):
            return ()
        return [
            (place, convert)
            for place, column in enumerate(self._statement.selected_columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]


def _count(cursor: DBAPICursor) -> int:
    return cursor.rowcount


def _fetched(cursor: DBAPICursor) -> Sequence[Any]:
    rows: Sequence[Any] = cursor.fetchall()
    return rows


def _cursor(connection: Connection) -> DBAPICursor:
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.cursor()


def _wrapped(connection: Connection, text: str, error: Exception) -> BaseException:
    family = connection.dialect.loaded_dbapi.Error
    return DBAPIError.instance(text, None, error, family, hide_parameters=True)
