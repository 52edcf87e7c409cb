"""The policy language: reads the file with line and column, decides shares by it, and explains itself."""
