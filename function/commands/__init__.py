"""One module per command of `doorman`; `function/cli.py` picks one and runs it."""
