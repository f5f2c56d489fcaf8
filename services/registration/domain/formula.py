"""Arithmetic that a data file may write: numbers, names, + - * /, brackets and sqrt(). Nothing else is understood."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

_OPERATORS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
LONGEST = 300


class Formula:
    """Raises ValueError for what is not understood."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"must be at most {LONGEST} characters")
        try:
            self._root = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise ValueError("is no formula") from None
        self.names: set[str] = set()
        self._check(self._root)

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                self._check(left)
                self._check(right)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                self._check(operand)
            case ast.Call(func=ast.Name(id="sqrt"), args=[argument], keywords=[]):
                self._check(argument)
            case ast.Name(id=name):
                self.names.add(name)
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                pass
            case _:
                raise ValueError("may hold numbers, names, + - * /, brackets and sqrt() only")

    def value(self, values: Mapping[str, float]) -> float | None:
        """None where a value is missing, or the sum has no answer (a division by zero, the root of a debt)."""
        if not self.names <= set(values):
            return None
        try:
            found = self._value(self._root, values)
        except (ZeroDivisionError, ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None

    def _value(self, node: ast.expr, values: Mapping[str, float]) -> float:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATORS[type(op)](self._value(left, values), self._value(right, values))
            case ast.UnaryOp(operand=operand):
                return -self._value(operand, values)
            case ast.Call(args=[argument]):
                return math.sqrt(self._value(argument, values))
            case ast.Name(id=name):
                return float(values[name])
            case ast.Constant(value=int() | float() as number):
                return float(number)
        raise AssertionError("checked before")
