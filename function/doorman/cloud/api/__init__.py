"""The clouds' APIs without I/O: builds requests and deciphers answers into nouns or errors."""
