"""The JSON Schema of the policy file, by which editors complete and check it; `docs/policy.schema.json` is its copy."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from doorman.policy.schema import PolicyFile


class _Writer(GenerateJsonSchema):
    """Writes what people may write: no null for an absent key, one value where a list of one would do."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        several = self.generate_inner(schema["schema"])
        return {"anyOf": [several["items"], several]} if "items" in several else several

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return super().default_schema(schema) if schema.get("default") else self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the base class asks it so
        return False


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the policy file."""
    return {
        "$schema": _Writer.schema_dialect,
        **PolicyFile.model_json_schema(schema_generator=_Writer, mode="validation"),
    }
