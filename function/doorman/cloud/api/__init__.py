"""The clouds' APIs without I/O: builds requests, and reads answers into nouns or errors."""
