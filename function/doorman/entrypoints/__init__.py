"""The ways in: HTTP with CloudEvents, FunctionGraph's invocations, and the command."""
