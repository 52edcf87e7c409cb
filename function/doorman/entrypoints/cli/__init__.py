"""One module per command of `doorman`; `main` picks one and runs it."""
