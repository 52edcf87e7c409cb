"""YAML that people write: read with line and column, and advice on what is wrong with it."""
