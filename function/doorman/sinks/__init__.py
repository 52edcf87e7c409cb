"""Where follow-up events go: an HTTP sink, a FunctionGraph function, an SMN topic."""
