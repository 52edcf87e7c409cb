"""FunctionGraph, the cloud's own function engine: its payloads into our events, its invocations into answers."""
