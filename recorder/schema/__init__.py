"""JSON Schemas: verdicts, explanations, complexity bounds, declared event types and their display templates."""

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.schema.declared import DeclaredType as DeclaredType
    from exprec.recorder.schema.declared import declared_types_in as declared_types_in
    from exprec.recorder.schema.declared import name_problem as name_problem
    from exprec.recorder.schema.declared import templates_in as templates_in
    from exprec.recorder.schema.display_template import DisplayTemplate as DisplayTemplate
    from exprec.recorder.schema.engine import Schema as Schema
    from exprec.recorder.schema.engine import Validator as Validator
    from exprec.recorder.schema.engine import find_problems as find_problems
    from exprec.recorder.schema.engine import load_validator as load_validator
    from exprec.recorder.schema.untrusted import compile_untrusted as compile_untrusted

# Lazy, because a command that only shows a run needs no complexity bounds.
__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        "DeclaredType": "declared",
        "DisplayTemplate": "display_template",
        "Schema": "engine",
        "Validator": "engine",
        "compile_untrusted": "untrusted",
        "declared_types_in": "declared",
        "find_problems": "engine",
        "load_validator": "engine",
        "name_problem": "declared",
        "templates_in": "declared",
    },
)
